#include "lib/analysis/quantization.h"

#include <algorithm>

#include "lib/ops/quantization.h"

namespace espalier {
namespace {

constexpr int kVersion = 17;  // of the nodes put in; the graph is only run

class Unrounding {
 public:
  explicit Unrounding(const Graph& graph) : graph_(graph) {}

  Graph run() {
    const std::vector<NodeId> nodes(graph_.nodes().begin(), graph_.nodes().end());
    for (const NodeId id : nodes) {
      if (graph_.contains(id) && is_op(id, "QuantizeLinear") && pairs_up(id)) pair(id);
    }
    return std::move(graph_);
  }

 private:
  bool is_op(NodeId id, std::string_view op) const { return graph_.node(id).domain.empty() && graph_.node(id).op_type == op; }

  /// One float scale and at most one zero point, all constants.
  bool one_scale(const Node& node) const {
    const Tensor* scale = node.has_input(1) ? graph_.constant(node.inputs[1]) : nullptr;
    const Tensor* zero = node.has_input(2) ? graph_.constant(node.inputs[2]) : nullptr;
    return scale && scale->size() == 1 && is_float(scale->type()) && (!node.has_input(2) || (zero && zero->size() == 1));
  }

  DataType quantized(const Node& node) const {
    return quantized_type(node, node.has_input(2) ? graph_.constant(node.inputs[2])->type() : DataType::undefined);
  }

  bool pairs_up(NodeId id) const {
    const Node& node = graph_.node(id);
    const ValueId made = node.outputs[0];
    if (graph_.constant(node.inputs[0]) || graph_.is_output(made) || !one_scale(node) || !is_quantized_integer(quantized(node))) return false;
    const auto users = graph_.users(made);
    return !users.empty() && std::all_of(users.begin(), users.end(), [&](NodeId user) {
      return is_op(user, "DequantizeLinear") && graph_.node(user).inputs[0] == made && one_scale(graph_.node(user));
    });
  }

  ValueId constant(Tensor tensor) {
    const ValueId v = graph_.add_value("unrounded", Type::tensor(tensor.type(), tensor.dims()));
    graph_.set_initializer(v, std::move(tensor));
    return v;
  }

  /// The zero point of a node as a number of the type of its scale.
  ValueId zero(const Node& node) {
    const DataType type = graph_.constant(node.inputs[1])->type();
    if (!node.has_input(2)) return constant(Tensor(type, {}));
    const Tensor& point = *graph_.constant(node.inputs[2]);
    return constant((is_narrow(point.type()) ? widen(point) : point).cast(type).reshaped({}));
  }

  ValueId scale(const Node& node) { return constant(graph_.constant(node.inputs[1])->reshaped({})); }

  ValueId add(NodeId before, const std::string& op, std::vector<ValueId> inputs, ValueId output = kNone) {
    Node node;
    node.op_type = op;
    node.inputs = std::move(inputs);
    node.outputs = {output == kNone ? graph_.add_value("unrounded") : output};
    node.version = kVersion;
    const ValueId made = node.outputs[0];
    graph_.add_node(std::move(node), before);
    return made;
  }

  void pair(NodeId id) {
    const Node node = graph_.node(id);
    const auto [low, high] = quantized_range(quantized(node));
    const DataType type = graph_.constant(node.inputs[1])->type();
    const ValueId steps = add(id, "Div", {node.inputs[0], scale(node)});
    const ValueId moved = add(id, "Add", {steps, zero(node)});
    const ValueId ends[] = {constant(Tensor::scalar(low).cast(type)), constant(Tensor::scalar(high).cast(type))};
    const ValueId inside = add(id, "Clip", {moved, ends[0], ends[1]});
    const std::vector<NodeId> users(graph_.users(node.outputs[0]).begin(), graph_.users(node.outputs[0]).end());
    for (const NodeId user : users) back(user, inside);
    graph_.erase_node(id);
  }

  void back(NodeId id, ValueId from) {
    const Node node = graph_.node(id);
    const ValueId steps = add(id, "Sub", {from, zero(node)});
    const ValueId by = scale(node);
    graph_.set_outputs(id, {graph_.add_value("unrounded")});
    add(id, "Mul", {steps, by}, node.outputs[0]);
    graph_.erase_node(id);
  }

  Graph graph_;
};

}  // namespace

Graph without_rounding(const Graph& graph) { return Unrounding(graph).run(); }

}  // namespace espalier
