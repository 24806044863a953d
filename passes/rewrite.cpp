#include "passes/rewrite.h"

#include <algorithm>

#include "lib/analysis/infer.h"
#include "lib/ops/op.h"

namespace espalier {
namespace {

using Edit = std::function<int64_t(Graph&)>;

bool has_bodies(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](NodeId id) {
    const auto& attributes = graph.node(id).attributes;
    return std::any_of(attributes.begin(), attributes.end(), [](const Attribute& a) { return std::holds_alternative<Body>(a.value); });
  });
}

int64_t edit_inner(Graph& graph, const Edit& edit, const FactTable* facts);

/// While a body is edited its inputs have the types that hold in every iteration: the sizes that files declare were written
/// for one of them. What it reads from outside has the type that it has there.
int64_t edit_body(Body& body, const Edit& edit, const FactTable* facts) {
  Graph copy = *body;
  std::map<ValueId, Type> declared;
  for (const ValueId v : copy.inputs) {
    Type& type = copy.value(v).type;
    declared[v] = type;
    if (facts && facts->type(v).kind != Type::Kind::unknown) type = facts->type(v);
    else type.dims.reset();
  }
  for (size_t i = 0; facts && i < body->value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    if (!copy.value(v).captured) continue;
    declared[v] = copy.value(v).type;
    copy.value(v).type = facts->type(v);
  }
  const int64_t changes = edit_inner(copy, edit, facts) + edit(copy);
  if (changes == 0) return 0;
  for (const auto& [v, type] : declared) copy.value(v).type = type;
  body = std::make_shared<const Graph>(std::move(copy));
  return changes;
}

/// Edits the bodies of a graph's nodes.
int64_t edit_inner(Graph& graph, const Edit& edit, const FactTable* facts) {
  int64_t changes = 0;
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const std::vector<Attribute> attributes = graph.node(id).attributes;
    for (Attribute attribute : attributes) {
      auto* body = std::get_if<Body>(&attribute.value);
      const int64_t inside = body ? edit_body(*body, edit, facts ? facts->body(id, attribute.name) : nullptr) : 0;
      if (inside > 0) graph.set_attribute(id, std::move(attribute));
      changes += inside;
    }
  }
  return changes;
}

}  // namespace

int64_t edit_graphs(Graph& graph, const std::function<int64_t(Graph&)>& edit) {
  if (!has_bodies(graph)) return edit(graph);
  const FactTable facts = infer(graph);
  return edit_inner(graph, edit, &facts) + edit(graph);
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

void collect_names(const Graph& graph, std::set<std::string>& names) {
  for (size_t i = 0; i < graph.value_count(); ++i) names.insert(graph.value(static_cast<ValueId>(i)).name);
  for (const NodeId id : graph.nodes()) {
    for (const Attribute& a : graph.node(id).attributes) {
      if (const auto* body = std::get_if<Body>(&a.value)) collect_names(**body, names);
    }
  }
}

Body rename_captured(const Body& body, const std::map<std::string, std::string>& names) {
  Graph copy = *body;
  for (size_t i = 0; i < copy.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    const auto found = copy.value(v).captured ? names.find(copy.value(v).name) : names.end();
    if (found != names.end()) copy.rename_value(v, found->second);
  }
  const std::vector<NodeId> nodes(copy.nodes().begin(), copy.nodes().end());
  for (const NodeId id : nodes) {
    const std::vector<Attribute> attributes = copy.node(id).attributes;
    for (Attribute a : attributes) {
      auto* inner = std::get_if<Body>(&a.value);
      if (!inner) continue;
      *inner = rename_captured(*inner, names);
      copy.set_attribute(id, std::move(a));
    }
  }
  return std::make_shared<const Graph>(std::move(copy));
}

}  // namespace espalier
