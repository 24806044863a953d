#include "lib/analysis/rebatch.h"

#include <algorithm>
#include <array>

#include "lib/analysis/unit_groups.h"
#include "lib/base/error.h"

namespace espalier {
namespace {

/// The batch size while it is followed through the graph.
const Dim& batch_symbol() {
  static const Dim symbol = Dim::symbol("rebatch.n");
  return symbol;
}

bool names_batch(const Dim& dim) { return !dim.unknown() && !dim.substitute({{"rebatch.n", 1}}).same_as(dim); }

/// The axis that counts samples, or -1.
int batch_axis(const Type& type) {
  if (!type.is_tensor() || !type.has_rank()) return -1;
  for (size_t i = 0; i < type.dims->size(); ++i) {
    if (names_batch((*type.dims)[i])) return static_cast<int>(i);
  }
  return -1;
}

class Rebatch {
 public:
  Rebatch(const Graph& graph, int64_t n) : graph_(graph), n_(n) {
    InferOptions options;
    options.input_dims = concrete_inputs(graph);
    old_ = infer(graph, options);
  }

  Graph run() {
    mark_inputs();
    const std::vector<NodeId> nodes(graph_.nodes().begin(), graph_.nodes().end());
    for (const NodeId id : nodes) {
      const std::string& op = graph_.node(id).op_type;
      if (op == "Reshape") patch_reshape(id);
      if (op == "Expand") patch_expand(id);
    }
    const FactTable facts = infer(graph_);
    for (const NodeId id : graph_.nodes()) require_apart(id, facts);
    declare();
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail(NodeId id, const std::string& message) const {
    throw Error(ErrorKind::bad_data, graph_.node(id).where() + ": " + message)
        .hint("the batch of this model cannot be changed; use it as it is");
  }

  void mark_inputs() {
    for (const ValueId v : graph_.inputs) {
      Type& type = graph_.value(v).type;
      if (graph_.initializer(v) || !type.is_tensor() || !type.has_rank() || type.rank() == 0) continue;
      const int64_t was = (*old_.type(v).dims)[0].value();
      if (batch_ > 0 && was != batch_) {
        throw Error(ErrorKind::bad_data, "input '" + graph_.value(v).name + "' has " + std::to_string(was) +
                                             " samples, others have " + std::to_string(batch_) + ", so axis 0 is not their batch");
      }
      batch_ = was;
      (*type.dims)[0] = batch_symbol();
    }
    if (batch_ <= 0) throw Error(ErrorKind::bad_data, "the model has no input with a batch axis");
  }

  /// Facts of what stands before a node: what follows may still be written for the old batch.
  FactTable facts_before(NodeId id) const {
    Graph head = graph_;
    head.outputs.clear();
    const std::vector<NodeId> nodes(head.nodes().begin(), head.nodes().end());
    for (size_t i = nodes.size(); i-- > 0;) {
      head.erase_node(nodes[i]);
      if (nodes[i] == id) break;
    }
    return infer(head);
  }

  std::vector<int64_t> constant_shape(NodeId id, const FactTable& facts) const {
    const Node& node = graph_.node(id);
    if (!node.has_input(1)) return node.get<std::vector<int64_t>>("shape", {});
    const Tensor* operand = facts.constant(node.inputs[1]);
    return operand ? operand->to_int64s() : std::vector<int64_t>{};
  }

  void set_shape(NodeId id, const std::vector<int64_t>& shape) {
    const Node& node = graph_.node(id);
    if (!node.has_input(1)) return graph_.set_attribute(id, "shape", shape);
    const ValueId v = graph_.add_value(graph_.value(node.inputs[1]).name + "__any_batch",
                                       Type::tensor(DataType::int64, Dims{static_cast<int64_t>(shape.size())}));
    graph_.set_initializer(v, Tensor::of<int64_t>({static_cast<int64_t>(shape.size())}, shape));
    graph_.set_input(id, 1, v);
  }

  void patch_reshape(NodeId id) {
    const FactTable facts = facts_before(id);
    const Node& node = graph_.node(id);
    const int axis = batch_axis(facts.type(node.inputs[0]));
    std::vector<int64_t> shape = constant_shape(id, facts);
    if (axis < 0 || shape.empty()) return;
    const auto src = old_.type(node.inputs[0]).known_dims(), dst = old_.type(node.outputs[0]).known_dims();
    if (!src || !dst) fail(id, "its sizes are not known");
    const int place = place_of_batch(id, *src, axis, *dst);
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool copies = shape[i] == 0 && i < src->size() && static_cast<int>(i) != axis;
      if (static_cast<int>(i) == place) shape[i] = -1;
      else if (!copies) shape[i] = (*dst)[i];
    }
    if (shape != constant_shape(id, facts)) set_shape(id, shape);
  }

  /// The output axis that holds the samples: samples lie behind as many elements as before.
  int place_of_batch(NodeId id, const Dims& src, int axis, const Dims& dst) const {
    int64_t before = 1, passed = 1;
    for (int i = 0; i < axis; ++i) before *= src[static_cast<size_t>(i)];
    int place = -1;
    for (size_t i = 0; i < dst.size() && passed <= before; passed *= dst[i++]) {
      if (passed != before || dst[i] % batch_ != 0) continue;
      if (dst[i] == batch_) return static_cast<int>(i);
      if (place < 0) place = static_cast<int>(i);
    }
    if (place < 0) fail(id, "the batch axis is merged so that samples no longer lie apart");
    return place;
  }

  void patch_expand(NodeId id) {
    const FactTable facts = facts_before(id);
    const Node& node = graph_.node(id);
    const int axis = batch_axis(facts.type(node.inputs[0]));
    std::vector<int64_t> shape = constant_shape(id, facts);
    if (axis < 0 || shape.empty()) return;
    const auto rank = static_cast<int>(facts.type(node.inputs[0]).rank());
    const int at = axis - rank + static_cast<int>(shape.size());
    if (at < 0 || shape[static_cast<size_t>(at)] == 1) return;
    shape[static_cast<size_t>(at)] = 1;
    set_shape(id, shape);
  }

  /// The node keeps samples apart: each output has whole samples along its batch axis, and the axis is not counted.
  void require_apart(NodeId id, const FactTable& facts) const {
    const Node& node = graph_.node(id);
    if (node.op_type == "Shape" || node.op_type == "Size") return;
    int axis = -1;
    size_t rank = 0;
    for (const ValueId v : node.inputs) {
      if (v == kNone || axis >= 0 || facts.constant(v)) continue;
      axis = batch_axis(facts.type(v));
      if (axis >= 0) rank = facts.type(v).dims->size();
    }
    if (axis < 0) return;
    for (const ValueId v : node.outputs) {
      if (v == kNone || !facts.type(v).is_tensor()) continue;
      const int at = batch_axis(facts.type(v));
      const bool whole = at >= 0 && exact_div((*facts.type(v).dims)[static_cast<size_t>(at)], batch_symbol());
      if (!whole) fail(id, "samples of a batch would meet in output '" + graph_.value(v).name + "', " + facts.type(v).str());
    }
    constexpr std::array counting = {"Softmax", "LogSoftmax", "Hardmax", "CumSum", "TopK", "Concat", "LayerNormalization"};
    if (std::find(counting.begin(), counting.end(), node.op_type) == counting.end()) return;
    const bool flattened = node.version < 13 && node.op_type.find("max") != std::string::npos;
    const int64_t counted = normalize_axis(node.get<int64_t>("axis", flattened ? 1 : -1), static_cast<int64_t>(rank));
    const bool onward = flattened || node.op_type == "LayerNormalization";
    if (counted == axis || (onward && counted < axis)) fail(id, "counts the batch axis");
  }

  void declare() {
    for (const ValueId v : graph_.inputs) {
      Type& type = graph_.value(v).type;
      if (batch_axis(type) == 0) (*type.dims)[0] = Dim(n_);
    }
    const FactTable facts = infer(graph_);
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const auto v = static_cast<ValueId>(i);
      Value& value = graph_.value(v);
      if ((graph_.is_output(v) || value.declared) && facts.type(v).is_tensor()) value.type = facts.type(v);
    }
  }

  Graph graph_;
  int64_t n_, batch_ = 0;
  FactTable old_;
};

}  // namespace

Graph rebatch(const Graph& graph, int64_t n) {
  if (n < 1) throw Error(ErrorKind::usage, "a batch has at least one sample, not " + std::to_string(n));
  return Rebatch(graph, n).run();
}

}  // namespace espalier
