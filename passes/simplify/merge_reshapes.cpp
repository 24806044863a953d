#include "passes/simplify/merge_reshapes.h"

#include <algorithm>
#include <optional>
#include <set>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

const std::set<std::string> kReshapes = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};

bool reshapes(const Node& node) {
  return node.domain.empty() && kReshapes.contains(node.op_type) && node.has_input(0) && node.has_output(0);
}

/// The constant shape with which Reshape turns `in` into `out`, if there is one.
std::optional<Tensor> shape_between(const Type& in, const Type& out) {
  if (!in.has_rank() || !out.has_rank()) return std::nullopt;
  std::vector<int64_t> shape;
  int open = 0;
  for (size_t axis = 0; axis < out.dims->size(); ++axis) {
    const Dim& dim = (*out.dims)[axis];
    if (dim.is(0)) return std::nullopt;
    if (axis == 0 && !in.dims->empty() && in.dims->front() == dim) {
      shape.push_back(0);
    } else if (dim.known()) {
      shape.push_back(dim.value());
    } else {
      shape.push_back(-1);
      ++open;
    }
  }
  if (open > 1) return std::nullopt;
  return Tensor::of<int64_t>({static_cast<int64_t>(shape.size())}, shape);
}

class Merging {
 public:
  Merging(Graph& graph, const FactTable& facts) : graph_(graph), facts_(facts) {}

  bool reshape(NodeId id) {
    const Node node = graph_.node(id);
    if (!reshapes(node) || node.version < 5) return false;
    const NodeId first = producer_like(node, reshapes);
    const ValueId from = first == kNone ? node.inputs[0] : graph_.node(first).inputs[0];
    const bool computed = node.op_type == "Reshape" && node.has_input(1) && !graph_.constant(node.inputs[1]);
    if (first == kNone && !computed) return false;
    const auto shape = shape_between(facts_.type(from), facts_.type(node.outputs[0]));
    if (!shape) return false;
    const ValueId operand = graph_.add_value(graph_.value(node.outputs[0]).name + "_shape", Type::tensor(DataType::int64, shape->dims()));
    graph_.set_initializer(operand, *shape);
    const std::vector<Attribute> attributes = node.attributes;
    for (const Attribute& a : attributes) graph_.erase_attribute(id, a.name);
    graph_.set_op_type(id, "Reshape", node.version);
    graph_.set_inputs(id, {from, operand});
    return true;
  }

  bool transpose(NodeId id) {
    const auto is_transpose = [](const Node& n) { return n.domain.empty() && n.op_type == "Transpose" && n.has_input(0); };
    const Node node = graph_.node(id);
    if (!is_transpose(node)) return false;
    const NodeId first = producer_like(node, is_transpose);
    if (first == kNone) return false;
    const auto inner = permutation(graph_.node(first)), outer = permutation(node);
    if (!inner || !outer || inner->size() != outer->size()) return false;
    std::vector<int64_t> perm;
    for (const int64_t axis : *outer) perm.push_back(inner->at(axis));
    graph_.set_input(id, 0, graph_.node(first).inputs[0]);
    graph_.set_attribute(id, "perm", perm);
    return true;
  }

 private:
  template <class Is>
  NodeId producer_like(const Node& node, Is&& is) const {
    const NodeId producer = graph_.producer(node.inputs[0]);
    return producer != kNone && is(graph_.node(producer)) ? producer : kNone;
  }

  std::optional<std::vector<int64_t>> permutation(const Node& node) const {
    auto perm = node.get<std::vector<int64_t>>("perm", {});
    if (!perm.empty()) return perm;
    const Type& type = facts_.type(node.inputs[0]);
    if (!type.has_rank()) return std::nullopt;
    for (int64_t axis = type.rank(); axis-- > 0;) perm.push_back(axis);
    return perm;
  }

  Graph& graph_;
  const FactTable& facts_;
};

int64_t merge(Graph& graph) {
  int64_t merged = 0;
  const FactTable facts = infer(graph);
  Merging merging(graph, facts);
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    if (merging.reshape(id) || merging.transpose(id)) ++merged;
  }
  return merged;
}

void run(PassContext& context) { context.count("reshapes", edit_graphs(context.graph(), merge)); }

constexpr PassCounter kCounters[] = {{"reshapes", "nodes that took over what their producer did, or a constant shape"}};

}  // namespace

extern const Pass merge_reshapes;
const Pass merge_reshapes = {.name = "merge-reshapes",
                             .summary = "make chains of reshapes and of transposes one",
                             .contract = Contract::exact,
                             .counters = kCounters,
                             .run = run};

}  // namespace espalier::passes
