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

/// Elements of a weight that a ConstantOfShape of known size makes.
int64_t filled_count(const Graph& graph, const Node& node) {
  const Tensor* shape = node.has_input(0) ? graph.constant(node.inputs[0]) : nullptr;
  const Tensor value = node.get<Tensor>("value", {});
  if (!shape || (value.defined() && !is_float(value.type()))) return 0;
  int64_t count = 1;
  for (const int64_t size : shape->to_int64s()) count = checked_mul(count, std::max<int64_t>(size, 0));
  return count;
}

int64_t param_count(const Graph& graph) {
  int64_t count = 0;
  const auto add = [&](const Tensor& tensor) {
    if (is_float(tensor.type())) count = checked_add(count, tensor.size());
  };
  for (const auto& [unused, initializer] : graph.initializers()) add(initializer.tensor);
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    for (const Attribute& a : node.attributes) {
      if (const auto* body = std::get_if<Body>(&a.value)) count = checked_add(count, param_count(**body));
    }
    if (node.op_type == "ConstantOfShape") count = checked_add(count, filled_count(graph, node));
    if (node.op_type != "Constant" || !node.has_output(0)) continue;
    if (const Tensor* tensor = graph.constant(node.outputs[0])) add(*tensor);
  }
  return count;
}

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(),
                     [](const Attribute& a) { return std::holds_alternative<Body>(a.value); });
}

/// How often a node runs its body: once for an If, nothing where that depends on data.
std::optional<int64_t> trips(const Node& node, const InferContext& context) {
  if (node.op_type == "If") return 1;
  if (node.op_type == "Loop") {
    const auto count = context.has_input(0) ? context.integers(0) : std::nullopt;
    return count && count->size() == 1 ? std::optional(std::max<int64_t>(count->front(), 0)) : std::nullopt;
  }
  if (node.op_type != "Scan" || context.version() < 9) return std::nullopt;
  const int64_t scans = node.get("num_scan_inputs", int64_t{1});
  const size_t first = context.input_count() - static_cast<size_t>(std::clamp<int64_t>(scans, 0, static_cast<int64_t>(context.input_count())));
  const auto dims = first < context.input_count() ? context.type(first).known_dims() : std::nullopt;
  if (!dims || dims->empty()) return std::nullopt;
  const auto axes = node.get("scan_input_axes", std::vector<int64_t>{0});
  return (*dims)[static_cast<size_t>(normalize_axis(axes.empty() ? 0 : axes[0], static_cast<int64_t>(dims->size())))];
}

/// The dearer branch of an If; what a Loop or Scan costs in all its trips. Nothing where it is not known.
std::optional<Cost> body_cost(const Graph& graph, const FactTable& facts, NodeId id) {
  const Node& node = graph.node(id);
  const auto runs = trips(node, facts.context(graph, id));
  std::optional<Cost> dearest;
  for (const Attribute& a : node.attributes) {
    const auto* body = std::get_if<Body>(&a.value);
    const FactTable* inside = body ? facts.body(id, a.name) : nullptr;
    if (!inside || !runs) continue;
    const CostTotals totals = graph_cost(**body, *inside);
    if (!totals.unsized.empty() || !totals.opaque.empty()) return std::nullopt;
    if (!dearest || totals.macs > dearest->macs) dearest = Cost{totals.macs, totals.flops, totals.bytes};
  }
  if (!dearest) return std::nullopt;
  return Cost{checked_mul(dearest->macs, *runs), checked_mul(dearest->flops, *runs), checked_mul(dearest->bytes, *runs)};
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
    const bool bodies = has_body(graph.node(id));
    const auto inside = bodies ? body_cost(graph, facts, id) : std::nullopt;
    if (bodies ? !inside : !sized(context)) {
      totals.unsized.push_back(id);
      continue;
    }
    const Cost cost = bodies ? *inside : op->cost ? op->cost(context) : bytes_moved(*op, context);
    totals.nodes.push_back({id, cost});
    totals.macs = checked_add(totals.macs, cost.macs);
    totals.flops = checked_add(totals.flops, cost.flops);
    totals.bytes = checked_add(totals.bytes, cost.bytes);
  }
  return totals;
}

}  // namespace espalier
