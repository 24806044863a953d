#include "lib/runtime/expand_forms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lib/ops/gradient.h"

namespace espalier {
namespace {

ValueId add_before(Graph& graph, NodeId at, std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {}) {
  Node node;
  node.name = graph.node(at).name;
  node.op_type = std::move(op_type);
  node.version = kTrainingOpset;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId made = graph.add_value(node.name.empty() ? "expanded" : node.name);
  node.outputs = {made};
  graph.add_node(std::move(node), at);
  return made;
}

ValueId sizes(Graph& graph, const Dims& dims) {
  const ValueId v = graph.add_value("sizes");
  graph.set_initializer(v, Tensor::of<int64_t>({static_cast<int64_t>(dims.size())}, dims));
  return v;
}

ValueId reshape_before(Graph& graph, NodeId at, ValueId x, const Dims& dims) { return add_before(graph, at, "Reshape", {x, sizes(graph, dims)}); }

bool is_known_float(const FactTable& facts, ValueId v) {
  return facts.type(v).elem_type == DataType::float32 && facts.type(v).known_dims().has_value();
}

/// Input 1 stands at `axis` of input 0, or at its end.
bool expand_alignment(Graph& graph, const FactTable& facts, NodeId id) {
  const Node node = graph.node(id);
  for (const ValueId v : node.inputs) {
    if (v == kNone || !is_known_float(facts, v)) return false;
  }
  const Dims a = *facts.type(node.inputs[0]).known_dims(), b = *facts.type(node.inputs[1]).known_dims();
  if (node.get<int64_t>("broadcast", 0) != 0 && node.has("axis")) {
    const auto rank = static_cast<int64_t>(a.size());
    auto axis = node.require<int64_t>("axis");
    if (axis < 0) axis += rank;
    Dims aligned = b;
    aligned.resize(static_cast<size_t>(std::max(rank - axis, static_cast<int64_t>(b.size()))), 1);
    if (aligned != b) graph.set_input(id, 1, reshape_before(graph, id, node.inputs[1], aligned));
  } else if (node.get<int64_t>("broadcast", 0) == 0 && a != b) {
    return false;
  }
  for (const char* attribute : {"axis", "broadcast", "consumed_inputs"}) graph.erase_attribute(id, attribute);
  graph.set_op_type(id, node.op_type, kTrainingOpset);
  return true;
}

/// Exponents that are floats too.
bool expand_exponents(Graph& graph, const FactTable& facts, NodeId id) {
  constexpr int64_t kWhole = 1 << 24;  // each smaller integer is a float
  const Node node = graph.node(id);
  const Tensor* exponents = facts.constant(node.inputs[1]);
  if (!is_known_float(facts, node.inputs[0]) || !exponents || !is_integer(exponents->type()) || exponents->type() == DataType::uint64) return false;
  for (const int64_t e : exponents->to_int64s()) {
    if (e < -kWhole || e > kWhole) return false;
  }
  const ValueId floats = graph.add_value("exponents");
  graph.set_initializer(floats, exponents->cast(DataType::float32));
  graph.set_input(id, 1, floats);
  return true;
}

/// min(max(x, lower), upper)
bool expand_bounds(Graph& graph, const FactTable& facts, NodeId id) {
  const Node node = graph.node(id);
  if (node.version < 11 || !is_known_float(facts, node.inputs[0])) return false;
  const auto rank = facts.type(node.inputs[0]).known_dims()->size();
  bool any = false;
  for (const size_t i : {1, 2}) {
    if (!node.has_input(i)) continue;
    const ValueId bound = node.inputs[i];
    if (!is_known_float(facts, bound) || facts.type(bound).known_dims()->size() > rank) return false;
    any |= !facts.constant(bound);
  }
  if (!any) return false;
  const bool both = node.has_input(1) && node.has_input(2);
  const ValueId low = both ? add_before(graph, id, "Max", {node.inputs[0], node.inputs[1]}) : node.inputs[0];
  graph.set_inputs(id, {low, node.inputs[node.has_input(2) ? 2 : 1]});
  graph.set_op_type(id, node.has_input(2) ? "Min" : "Max", kTrainingOpset);
  return true;
}

/// Each channel has its group's scale and bias.
bool expand_groups(Graph& graph, const FactTable& facts, NodeId id) {
  constexpr int kByChannel = 21;
  const Node node = graph.node(id);
  if (node.version >= kByChannel || !is_known_float(facts, node.inputs[0])) return false;
  const int64_t channels = (*facts.type(node.inputs[0]).known_dims())[1], groups = node.require<int64_t>("num_groups");
  for (const size_t i : {1, 2}) {
    const ValueId column = reshape_before(graph, id, node.inputs[i], {groups, 1});
    const ValueId wide = add_before(graph, id, "Expand", {column, sizes(graph, {groups, channels / groups})});
    graph.set_input(id, i, reshape_before(graph, id, wide, {channels}));
  }
  graph.set_op_type(id, node.op_type, kByChannel);
  return true;
}

}  // namespace

bool expand_form(Graph& graph, const FactTable& facts, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.domain.empty() || !find_op(node)) return false;
  const std::string& op = node.op_type;
  constexpr std::array kAligned = {"Add", "Sub", "Mul", "Div", "Pow"};
  if (node.version < 7 && std::find(kAligned.begin(), kAligned.end(), op) != kAligned.end()) return expand_alignment(graph, facts, id);
  if (op == "Pow") return expand_exponents(graph, facts, id);
  if (op == "Clip") return expand_bounds(graph, facts, id);
  if (op == "GroupNormalization") return expand_groups(graph, facts, id);
  return false;
}

}  // namespace espalier
