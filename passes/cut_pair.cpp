#include "passes/cut_pair.h"

#include <algorithm>

#include "lib/analysis/unit_groups.h"
#include "lib/base/error.h"
#include "lib/ops/op.h"

namespace espalier {
namespace {

/// Whether the node cannot be run: its operator is not ours, or one inside its bodies is not.
bool opaque(const Node& node) {
  const Op* op = find_op(node);
  if (!op || !op->evaluate) return true;
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    const auto* body = std::get_if<Body>(&a.value);
    if (!body) return false;
    const auto nodes = (*body)->nodes();
    return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) { return opaque((*body)->node(id)); });
  });
}

/// Inputs, and what bodies read from outside.
std::vector<ValueId> reads_of(const Graph& graph, const Node& node) {
  std::vector<ValueId> reads = captured_values(graph, node);
  std::copy_if(node.inputs.begin(), node.inputs.end(), std::back_inserter(reads), [](ValueId v) { return v != kNone; });
  return reads;
}

std::vector<NodeId> opaque_nodes(const Graph& graph) {
  std::vector<NodeId> result;
  for (const NodeId id : graph.nodes()) {
    if (opaque(graph.node(id))) result.push_back(id);
  }
  return result;
}

bool has_bodies(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value);
  });
}

/// The node of `graph` with the same first named output.
NodeId twin(const Graph& graph, const Graph& other, const Node& node) {
  for (const ValueId v : node.outputs) {
    if (v == kNone) continue;
    const ValueId there = graph.find_value(other.value(v).name);
    return there == kNone ? kNone : graph.producer(there);
  }
  return kNone;
}

bool alike(const Node& a, const Node& b) {
  if (a.op_type != b.op_type || a.domain != b.domain || a.inputs.size() != b.inputs.size() ||
      a.outputs.size() != b.outputs.size()) {
    return false;
  }
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    if (a.has_input(i) != b.has_input(i)) return false;
  }
  return true;
}

void open_outputs(Graph& graph, const Node& node) {
  for (const ValueId v : node.outputs) {
    if (v != kNone) graph.inputs.push_back(v);
  }
}

/// Takes a node out of both graphs. Returns false where its two uses cannot be set side by side.
bool cut_node(CutPair& cut, NodeId id) {
  const Node node = cut.before.node(id);
  const NodeId other_id = twin(cut.after, cut.before, node);
  if (other_id == kNone) return false;
  const Node other = cut.after.node(other_id);
  if (!alike(node, other)) return false;
  // An output of the graph that the node makes follows from what goes in.
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.has_output(i) || !other.has_output(i)) continue;
    const std::pair made(cut.before.value(node.outputs[i]).name, cut.after.value(other.outputs[i]).name);
    std::erase(cut.compared, made);
  }
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    cut.compared.emplace_back(cut.before.value(node.inputs[i]).name, cut.after.value(other.inputs[i]).name);
  }
  cut.before.erase_node(id);
  cut.after.erase_node(other_id);
  open_outputs(cut.before, node);
  open_outputs(cut.after, other);
  return true;
}

/// By value: whether it follows from an input that cannot be made, or from an opaque node that was not cut.
std::vector<bool> lost_values(const Graph& graph, const std::set<std::string>& fed) {
  std::vector<bool> lost(graph.value_count(), false);
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    const bool made = type.is_tensor() && type.has_rank() && type.elem_type != DataType::undefined &&
                      type.elem_type != DataType::string;
    lost[v] = !graph.initializer(v) && !made && !fed.contains(graph.value(v).name);
  }
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const auto reads = reads_of(graph, node);
    const bool hit = opaque(node) || std::any_of(reads.begin(), reads.end(), [&](ValueId v) { return lost[v]; });
    for (const ValueId v : node.outputs) {
      if (v != kNone && hit) lost[v] = true;
    }
  }
  return lost;
}

/// Leaves of `graph` what `outputs` need.
void keep_only(Graph& graph, const std::vector<ValueId>& outputs) {
  graph.outputs = outputs;
  std::vector<bool> needed(graph.value_count(), false);
  for (const ValueId v : outputs) needed[v] = true;
  const std::vector<NodeId> order(graph.nodes().begin(), graph.nodes().end());
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node node = graph.node(*id);
    if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v != kNone && needed[v]; })) {
      graph.erase_node(*id);
      continue;
    }
    for (const ValueId v : reads_of(graph, node)) needed[v] = true;
  }
  std::erase_if(graph.inputs, [&](ValueId v) { return !needed[v]; });
}

std::vector<ValueId> all_outputs(const Graph& before, const Graph& after, CutPair& cut) {
  for (const ValueId v : before.outputs) {
    const std::string& output = before.value(v).name;
    const ValueId other = after.find_value(output);
    if (other == kNone || !after.is_output(other)) throw Error(ErrorKind::verification, "output '" + output + "' is gone");
    cut.compared.emplace_back(output, output);
  }
  return before.outputs;
}

}  // namespace

CutPair cut_at_opaque_nodes(const Graph& before, const Graph& after, const std::set<std::string>& fed) {
  CutPair cut{before, after, {}, {}};
  keep_only(cut.before, all_outputs(before, after, cut));
  for (const NodeId id : opaque_nodes(cut.before)) {
    const Node node = cut.before.node(id);
    if (has_bodies(node)) cut.open.push_back(node.where() + " is not compared inside its bodies");
    if (!cut_node(cut, id)) cut.open.push_back(node.where() + " is opaque and was changed");
  }
  const auto lost = lost_values(cut.before, fed), lost_after = lost_values(cut.after, fed);
  std::vector<ValueId> kept, kept_after;
  std::erase_if(cut.compared, [&](const auto& names) {
    const ValueId a = cut.before.find_value(names.first), b = cut.after.find_value(names.second);
    if (lost[a] || lost_after[b]) {
      cut.open.push_back("'" + names.first + "' hangs on what an opaque node makes");
      return true;
    }
    kept.push_back(a);
    kept_after.push_back(b);
    return false;
  });
  keep_only(cut.before, kept);
  keep_only(cut.after, kept_after);
  return cut;
}

}  // namespace espalier
