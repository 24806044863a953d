#include "passes/fuse/fuse_affine.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "passes/fuse/weights.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

const std::set<std::string> kOps = {"Add", "Div", "Mul", "Sub"};

/// Whether the constant has one element, or the channels on the channel's axis and 1 on every other.
bool per_channel(const Tensor& constant, const Linear& linear) {
  if (!is_float(constant.type()) || constant.rank() > linear.rank) return false;
  if (constant.size() == 1) return true;
  for (int64_t i = 0; i < constant.rank(); ++i) {
    const int64_t axis = linear.rank - constant.rank() + i;
    const int64_t size = constant.dims()[static_cast<size_t>(i)];
    if (size != (axis == linear.channel_axis ? linear.channels : 1)) return false;
  }
  return constant.size() == linear.channels;
}

std::optional<Affine> affine_of(const std::string& op, const Tensor& constant, bool constant_first) {
  std::vector<double> c = constant.to_doubles();
  Affine affine;
  if (op == "Add") {
    affine.shift = c;
  } else if (op == "Mul") {
    affine.scale = c;
  } else if (op == "Sub") {
    if (constant_first) affine.scale = {-1};
    else std::transform(c.begin(), c.end(), c.begin(), [](double v) { return -v; });
    affine.shift = c;
  } else {
    if (constant_first) return std::nullopt;
    std::transform(c.begin(), c.end(), c.begin(), [](double v) { return 1 / v; });
    affine.scale = c;
  }
  const auto finite = [](double v) { return std::isfinite(v); };
  if (!std::all_of(affine.scale.begin(), affine.scale.end(), finite) ||
      !std::all_of(affine.shift.begin(), affine.shift.end(), finite)) {
    return std::nullopt;
  }
  return affine;
}

bool fuse_node(Graph& graph, const FactTable& facts, const std::vector<bool>& captured, NodeId id) {
  const Node node = graph.node(id);
  if (!node.domain.empty() || !kOps.contains(node.op_type) || node.version < 7 || node.inputs.size() != 2) return false;
  for (const size_t constant_at : {size_t{1}, size_t{0}}) {
    const Tensor* constant = graph.constant(node.inputs[constant_at]);
    const ValueId data = node.inputs[1 - constant_at];
    if (!constant || graph.constant(data)) continue;
    const auto linear = linear_before(graph, facts, data, id, captured);
    if (!linear || !per_channel(*constant, *linear)) return false;
    const auto affine = affine_of(node.op_type, *constant, constant_at == 0);
    if (!affine) return false;
    absorb(graph, *linear, *affine, id);
    return true;
  }
  return false;
}

void run(PassContext& context) { context.count("affines", edit_nodes(context.graph(), fuse_node)); }

constexpr PassCounter kCounters[] = {{"affines", "Mul, Div, Add and Sub that went into weights"}};

}  // namespace

extern const Pass fuse_affine;
const Pass fuse_affine = {.name = "fuse-affine",
                          .summary = "put constant factors and terms per channel into the weights before them",
                          .contract = Contract::equal,
                          .counters = kCounters,
                          .run = run};

}  // namespace espalier::passes
