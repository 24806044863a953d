#include "passes/rewrite.h"

#include <algorithm>

#include "lib/ops/op.h"

namespace espalier {
namespace {

int64_t edit_body(Body& body, const std::function<int64_t(Graph&)>& edit) {
  Graph copy = *body;
  const int64_t changes = edit_graphs(copy, edit);
  if (changes > 0) body = std::make_shared<const Graph>(std::move(copy));
  return changes;
}

int64_t edit_attribute(Attribute& attribute, const std::function<int64_t(Graph&)>& edit) {
  if (auto* body = std::get_if<Body>(&attribute.value)) return edit_body(*body, edit);
  int64_t changes = 0;
  if (auto* bodies = std::get_if<std::vector<Body>>(&attribute.value)) {
    for (Body& body : *bodies) changes += edit_body(body, edit);
  }
  return changes;
}

}  // namespace

int64_t edit_graphs(Graph& graph, const std::function<int64_t(Graph&)>& edit) {
  int64_t changes = 0;
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const std::vector<Attribute> attributes = graph.node(id).attributes;
    for (Attribute attribute : attributes) {
      const int64_t inside = edit_attribute(attribute, edit);
      if (inside > 0) graph.set_attribute(id, std::move(attribute));
      changes += inside;
    }
  }
  return changes + edit(graph);
}

int64_t edit_nodes(Graph& graph, NodeEdit edit) {
  return edit_graphs(graph, [edit](Graph& g) {
    const FactTable facts = infer(g);
    const std::vector<bool> captured = captured_values(g);
    const std::vector<NodeId> nodes(g.nodes().begin(), g.nodes().end());
    return static_cast<int64_t>(std::count_if(nodes.begin(), nodes.end(), [&](NodeId id) { return edit(g, facts, captured, id); }));
  });
}

std::vector<bool> captured_values(const Graph& graph) {
  std::vector<bool> captured(graph.value_count(), false);
  for (const std::string& captured_name : graph.captured_by_bodies()) {
    const ValueId v = graph.find_value(captured_name);
    if (v != kNone) captured[v] = true;
  }
  return captured;
}

bool bypass_node(Graph& graph, NodeId id, ValueId same, const std::vector<bool>& captured) {
  const ValueId out = graph.node(id).outputs[0];
  const auto named = [&](ValueId v) { return graph.is_output(v) || (static_cast<size_t>(v) < captured.size() && captured[v]); };
  if (!named(out)) {
    graph.value(out).declared = false;
    graph.erase_node(id);
    graph.replace_uses(out, same);
    return true;
  }
  const NodeId producer = graph.producer(same);
  if (producer == kNone || named(same) || !find_op(graph.node(producer))) return false;
  graph.value(same).declared = false;
  graph.erase_node(id);
  std::vector<ValueId> outputs = graph.node(producer).outputs;
  std::replace(outputs.begin(), outputs.end(), same, out);
  graph.set_outputs(producer, std::move(outputs));
  graph.replace_uses(same, out);
  return true;
}

}  // namespace espalier
