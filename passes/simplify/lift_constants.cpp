#include "passes/simplify/lift_constants.h"

#include <optional>

#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

std::optional<Tensor> value_of(const Node& node) {
  for (const Attribute& a : node.attributes) {
    if (const auto* tensor = std::get_if<Tensor>(&a.value)) return *tensor;
    if (const auto* number = std::get_if<float>(&a.value)) return Tensor::scalar(*number);
    if (const auto* number = std::get_if<int64_t>(&a.value)) return Tensor::scalar(*number);
    if (const auto* text = std::get_if<std::string>(&a.value)) return Tensor::of_strings({}, {*text});
    if (const auto* list = std::get_if<std::vector<float>>(&a.value)) {
      return Tensor::of<float>({static_cast<int64_t>(list->size())}, *list);
    }
    if (const auto* list = std::get_if<std::vector<int64_t>>(&a.value)) {
      return Tensor::of<int64_t>({static_cast<int64_t>(list->size())}, *list);
    }
    if (const auto* list = std::get_if<std::vector<std::string>>(&a.value)) {
      return Tensor::of_strings({static_cast<int64_t>(list->size())}, *list);
    }
  }
  return std::nullopt;
}

int64_t lift(Graph& graph) {
  int64_t lifted = 0;
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const Node& node = graph.node(id);
    if (node.op_type != "Constant" || !node.domain.empty() || !node.has_output(0) || graph.is_output(node.outputs[0])) continue;
    const ValueId out = node.outputs[0];
    const auto tensor = value_of(node);
    if (!tensor) continue;
    graph.erase_node(id);
    graph.set_initializer(out, *tensor);
    ++lifted;
  }
  return lifted;
}

void run(PassContext& context) { context.count("lifted", edit_graphs(context.graph(), lift)); }

constexpr PassCounter kCounters[] = {{"lifted", "Constant nodes that became initialisers"}};

}  // namespace

extern const Pass lift_constants;
const Pass lift_constants = {.name = "lift-constants",
                             .summary = "turn Constant nodes into initialisers",
                             .contract = Contract::exact,
                             .counters = kCounters,
                             .run = run};

}  // namespace espalier::passes
