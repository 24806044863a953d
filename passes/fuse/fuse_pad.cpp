#include "passes/fuse/fuse_pad.h"

#include <algorithm>
#include <optional>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

/// Pads of all axes, begins then ends, of a Pad that fills with zeros; nothing for any other node.
std::optional<std::vector<int64_t>> zero_pads(const FactTable& facts, const Node& node) {
  if (!node.domain.empty() || node.op_type != "Pad" || node.version < 2) return std::nullopt;
  if (node.get<std::string>("mode", "constant") != "constant") return std::nullopt;
  if (node.version < 11) {
    if (node.get<float>("value", 0.0f) != 0) return std::nullopt;
    return node.require<std::vector<int64_t>>("pads");
  }
  if (node.has_input(2)) {
    const Tensor* value = facts.constant(node.inputs[2]);
    if (!value || value->size() != 1 || value->to_doubles()[0] != 0) return std::nullopt;
  }
  const Tensor* pads = node.has_input(1) ? facts.constant(node.inputs[1]) : nullptr;
  if (!pads || node.has_input(3)) return std::nullopt;  // pads of some axes only: left alone
  const Type& type = facts.type(node.inputs[0]);
  if (!type.has_rank() || pads->size() != 2 * type.rank()) return std::nullopt;
  return pads->to_int64s();
}

bool fuse_node(Graph& graph, const FactTable& facts, const std::vector<bool>&, NodeId id) {
  const Node node = graph.node(id);
  if (!node.domain.empty() || node.op_type != "Conv" || !node.has_input(0)) return false;
  const std::string auto_pad = node.get<std::string>("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID") return false;
  const NodeId pad_id = graph.producer(node.inputs[0]);
  if (pad_id == kNone) return false;
  const auto pads = zero_pads(facts, graph.node(pad_id));
  if (!pads || pads->size() < 6) return false;
  const size_t rank = pads->size() / 2, spatial = rank - 2;
  const bool spatial_only = (*pads)[0] == 0 && (*pads)[1] == 0 && (*pads)[rank] == 0 && (*pads)[rank + 1] == 0;
  if (!spatial_only || std::any_of(pads->begin(), pads->end(), [](int64_t p) { return p < 0; })) return false;

  std::vector<int64_t> sum(2 * spatial, 0);
  if (auto_pad == "NOTSET") sum = node.get<std::vector<int64_t>>("pads", sum);
  if (sum.size() != 2 * spatial) return false;
  for (size_t i = 0; i < spatial; ++i) {
    sum[i] += (*pads)[2 + i];
    sum[spatial + i] += (*pads)[rank + 2 + i];
  }
  graph.set_attribute(id, "pads", sum);
  graph.erase_attribute(id, "auto_pad");
  graph.set_input(id, 0, graph.node(pad_id).inputs[0]);
  return true;
}

void run(PassContext& context) { context.count("pads", edit_nodes(context.graph(), fuse_node)); }

constexpr PassCounter kCounters[] = {{"pads", "Convs that took over a Pad"}};

}  // namespace

extern const Pass fuse_pad;
const Pass fuse_pad = {.name = "fuse-pad",
                       .summary = "put zero padding into the Conv after it",
                       .contract = Contract::equal,
                       .counters = kCounters,
                       .run = run};

}  // namespace espalier::passes
