#include "passes/simplify/remove_dead_code.h"

#include <algorithm>

#include "lib/ops/op.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

struct Removed {
  int64_t nodes = 0, initializers = 0, captures = 0;
  int64_t all() const { return nodes + initializers + captures; }
};

bool removable(const Node& node) { return node.domain.empty() || node.domain == "ai.onnx.ml" || find_op(node); }

// Values of a body that it captured and no longer reads must not keep their source alive outside.
int64_t forget_captures(Graph& graph, const std::vector<bool>& captured) {
  int64_t forgotten = 0;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    if (graph.value(v).captured && graph.users(v).empty() && !graph.is_output(v) && !captured[i]) {
      graph.value(v).captured = false;
      ++forgotten;
    }
  }
  return forgotten;
}

void remove_nodes(Graph& graph, Removed& removed) {
  std::vector<bool> captured = captured_values(graph);
  std::vector<NodeId> order(graph.nodes().begin(), graph.nodes().end());
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node& node = graph.node(*id);
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v != kNone && (!graph.users(v).empty() || graph.is_output(v) || captured[v]);
    });
    if (used || !removable(node)) continue;
    const bool has_body = std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
      return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value);
    });
    for (const ValueId v : node.outputs) {
      if (v != kNone) graph.value(v).declared = false;
    }
    graph.erase_node(*id);
    ++removed.nodes;
    if (has_body) captured = captured_values(graph);
  }
  removed.captures += forget_captures(graph, captured);
}

void remove_initializers(Graph& graph, bool inputs_are_weights, Removed& removed) {
  const std::vector<bool> captured = captured_values(graph);
  std::vector<ValueId> unused;
  for (const auto& [v, unused_tensor] : graph.initializers()) {
    const bool kept_input = graph.is_input(v) && !inputs_are_weights;
    if (graph.users(v).empty() && !graph.is_output(v) && !kept_input && !captured[v]) unused.push_back(v);
  }
  for (const ValueId v : unused) {
    graph.erase_initializer(v);
    std::erase(graph.inputs, v);
  }
  removed.initializers += static_cast<int64_t>(unused.size());
}

void run(PassContext& context) {
  Removed removed;
  edit_graphs(context.graph(), [&](Graph& graph) {
    const int64_t before = removed.all();
    remove_nodes(graph, removed);
    remove_initializers(graph, &graph == &context.graph() && context.model().ir_version < 4, removed);
    return removed.all() - before;
  });
  context.count("dead-nodes", removed.nodes);
  context.count("dead-initializers", removed.initializers);
}

constexpr PassCounter kCounters[] = {
    {"dead-nodes", "nodes that no output needs"},
    {"dead-initializers", "initialisers that no output needs"},
};

}  // namespace

extern const Pass remove_dead_code;
const Pass remove_dead_code = {.name = "remove-dead-code",
                               .summary = "take out nodes and initialisers that no output needs",
                               .contract = Contract::exact,
                               .counters = kCounters,
                               .run = run};

}  // namespace espalier::passes
