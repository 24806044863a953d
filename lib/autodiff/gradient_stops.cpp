#include "lib/autodiff/gradient_stops.h"

#include <algorithm>

#include "lib/analysis/infer.h"

namespace espalier {
namespace {

/// Sizes are not calculated from values.
bool reads_sizes(const Node& node) { return node.op_type == "Shape" || node.op_type == "Size"; }

}  // namespace

std::vector<NodeId> gradient_stops(const Graph& forward, ValueId loss, std::span<const ValueId> wanted) {
  const FactTable facts = infer(forward);
  const auto carries = [&](ValueId v) { return facts.type(v).is_tensor() && is_float(facts.type(v).elem_type); };
  std::vector<bool> depends(forward.value_count(), false), needed(forward.value_count(), false);
  for (const ValueId v : wanted) depends[v] = true;
  for (const NodeId id : forward.nodes()) {
    const Node& node = forward.node(id);
    if (reads_sizes(node)) continue;
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return v != kNone && depends[v]; });
    for (const ValueId v : node.outputs) {
      if (v != kNone && any) depends[v] = true;
    }
  }
  needed[loss] = true;
  std::vector<NodeId> stops;
  const std::vector<NodeId> nodes(forward.nodes().begin(), forward.nodes().end());
  for (auto id = nodes.rbegin(); id != nodes.rend(); ++id) {
    const Node& node = forward.node(*id);
    if (reads_sizes(node)) continue;
    bool used = false, passes = false, arrives = false;
    for (const ValueId v : node.outputs) {
      if (v == kNone || !needed[v]) continue;
      used = true;
      passes |= carries(v) || node.op_type == "QuantizeLinear";
    }
    for (const ValueId v : node.inputs) arrives |= v != kNone && depends[v] && carries(v);
    if (used && arrives && !passes) {
      stops.push_back(*id);
      continue;
    }
    for (const ValueId v : node.inputs) {
      if (used && v != kNone) needed[v] = true;
    }
  }
  std::reverse(stops.begin(), stops.end());
  return stops;
}

}  // namespace espalier
