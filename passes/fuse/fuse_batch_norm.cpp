#include "passes/fuse/fuse_batch_norm.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "passes/fuse/weights.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

bool only_y_is_used(const Graph& graph, const Node& node) {
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.has_output(i) && (!graph.users(node.outputs[i]).empty() || graph.is_output(node.outputs[i]))) return false;
  }
  return node.has_output(0);
}

bool trains(const Node& node) {
  if (node.version < 7) return node.get<int64_t>("is_test", 0) == 0 || node.get<int64_t>("spatial", 1) == 0;
  if (node.version < 9) return node.get<int64_t>("spatial", 1) == 0;
  return node.get<int64_t>("training_mode", 0) != 0;
}

std::optional<Affine> affine_of(const Graph& graph, const Node& node, int64_t channels) {
  std::vector<double> operands[4];
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* tensor = node.has_input(i + 1) ? graph.constant(node.inputs[i + 1]) : nullptr;
    if (!tensor || !is_float(tensor->type()) || tensor->size() != channels) return std::nullopt;
    operands[i] = tensor->to_doubles();
  }
  const auto& [scale, bias, mean, variance] = operands;
  const double epsilon = static_cast<double>(node.get<float>("epsilon", 1e-5f));
  Affine affine{std::vector<double>(scale.size()), std::vector<double>(scale.size())};
  for (size_t c = 0; c < scale.size(); ++c) {
    affine.scale[c] = scale[c] / std::sqrt(variance[c] + epsilon);
    affine.shift[c] = bias[c] - mean[c] * affine.scale[c];
    if (!std::isfinite(affine.scale[c]) || !std::isfinite(affine.shift[c])) return std::nullopt;
  }
  return affine;
}

bool fuse_node(Graph& graph, const FactTable& facts, const std::vector<bool>& captured, NodeId id) {
  const Node node = graph.node(id);
  if (!node.domain.empty() || node.op_type != "BatchNormalization" || !node.has_input(0)) return false;
  if (trains(node) || !only_y_is_used(graph, node)) return false;
  const auto linear = linear_before(graph, facts, node.inputs[0], id, captured);
  if (!linear) return false;
  const auto affine = affine_of(graph, node, linear->channels);
  if (affine) absorb(graph, *linear, *affine, id);
  return affine.has_value();
}

void run(PassContext& context) { context.count("batch-norms", edit_nodes(context.graph(), fuse_node)); }

constexpr PassCounter kCounters[] = {{"batch-norms", "BatchNormalizations that went into weights"}};

}  // namespace

extern const Pass fuse_batch_norm;
const Pass fuse_batch_norm = {.name = "fuse-batch-norm",
                              .summary = "put BatchNormalization into the weights before it",
                              .contract = Contract::equal,
                              .counters = kCounters,
                              .run = run};

}  // namespace espalier::passes
