#include "lib/analysis/cost.h"

#include <algorithm>

namespace espalier {
namespace {

bool sized(const InferContext& context) {
  const auto known = [](const Fact& fact) { return fact.type.is_tensor() && fact.type.known_dims().has_value(); };
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (context.has_input(i) && !known(context.input(i))) return false;
  }
  for (size_t i = 0; i < context.output_count(); ++i) {
    if (context.has_output(i) && !known(context.output(i))) return false;
  }
  return true;
}

bool is_constant(const InferContext& context) {
  for (size_t i = 0; i < context.output_count(); ++i) {
    if (context.has_output(i) && !context.output(i).constant) return false;
  }
  return true;
}

int64_t bytes_of(const Type& type) { return byte_count(type.elem_type, *type.known_dims()); }

Cost bytes_moved(const Op& op, const InferContext& context) {
  Cost cost;
  if (op.is_view) return cost;
  for (size_t i = 0; i < context.input_count(); ++i) {
    const bool read = context.has_input(i) && !(i < 32 && (op.shape_only_inputs >> i & 1u));
    if (read) cost.bytes = checked_add(cost.bytes, bytes_of(context.type(i)));
  }
  for (size_t i = 0; i < context.output_count(); ++i) {
    if (context.has_output(i)) cost.bytes = checked_add(cost.bytes, bytes_of(context.output(i).type));
  }
  return cost;
}

int64_t param_count(const Graph& graph) {
  int64_t count = 0;
  const auto add = [&](const Tensor& tensor) {
    if (is_float(tensor.type())) count = checked_add(count, tensor.size());
  };
  for (const auto& [unused, initializer] : graph.initializers()) add(initializer.tensor);
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (node.op_type != "Constant" || !node.has_output(0)) continue;
    if (const Tensor* tensor = graph.constant(node.outputs[0])) add(*tensor);
  }
  return count;
}

}  // namespace

CostTotals graph_cost(const Graph& graph, const FactTable& facts) {
  CostTotals totals;
  totals.params = param_count(graph);
  for (const NodeId id : graph.nodes()) {
    const Op* op = find_op(graph.node(id));
    if (!op) {
      totals.opaque.push_back(id);
      continue;
    }
    const InferContext context = facts.context(graph, id);
    if (is_constant(context)) continue;
    if (!sized(context)) {
      totals.unsized.push_back(id);
      continue;
    }
    const Cost cost = op->cost ? op->cost(context) : bytes_moved(*op, context);
    totals.nodes.push_back({id, cost});
    totals.macs = checked_add(totals.macs, cost.macs);
    totals.flops = checked_add(totals.flops, cost.flops);
    totals.bytes = checked_add(totals.bytes, cost.bytes);
  }
  return totals;
}

}  // namespace espalier
