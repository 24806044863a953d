#include "lib/analysis/surgeon.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "lib/analysis/opened_bodies.h"

namespace espalier {
namespace {

/// How often the order at birth is changed to spare Gathers.
constexpr int kBirthOrders = 4;

class Surgeon {
 public:
  Surgeon(const UnitTable& table, const std::vector<bool>& keep, const UnitRules& rules, std::vector<int32_t> rank = {})
      : table_(table), original_(*table.graph), rules_(rules) {
    state_.rank = std::move(rank);
    state_.graph = original_;
    state_.table = &table;
    state_.keep = &keep;
    state_.kept.resize(original_.value_count());
    mark_sizes();
  }

  CutGraph run() {
    const std::vector<NodeId> nodes = visited_nodes(table_);
    cut_states(nodes);
    for (size_t i = 0; i < nodes.size(); ++i) visit(nodes[i], next_of(nodes[i]));
    for (const ValueId v : original_.outputs) pin_output(v);
    for (const ValueId v : original_.outputs) {
      const auto& left = state_.kept[static_cast<size_t>(v)];
      if (left.empty() || is_whole_state(v)) continue;
      const Bundle* b = find_ragged(table_.bundles[static_cast<size_t>(v)], left[0].ragged);
      throw Inexpressible(b ? b->ids : IndexArray(), "its order would have to be restored for a graph output");
    }
    sweep();
    take_names();
    drop_types();
    if (table_.opened) state_.graph = close_bodies(*table_.opened, state_.graph, state_.made_for);
    check_types();
    return {std::move(state_.graph), std::move(state_.kept), std::move(state_.gathers)};
  }

  /// The order at birth that would spare the Gathers made: what the first of them wants, then the next.
  std::vector<int32_t> wished_rank() const {
    const auto n = static_cast<size_t>(table_.units.size());
    std::vector<int32_t> rank(n, static_cast<int32_t>(n));
    int32_t next = 0;
    for (const std::vector<int32_t>& roots : state_.wishes) {
      for (const int32_t root : roots) {
        int32_t& place = rank[static_cast<size_t>(root)];
        if (place == static_cast<int32_t>(n)) place = next++;
      }
    }
    for (size_t i = 0; i < n && !state_.rank.empty(); ++i) {  // what was changed before stays, behind it
      if (rank[i] == static_cast<int32_t>(n)) rank[i] = std::min(state_.rank[i], std::numeric_limits<int32_t>::max() / 2) + next;
    }
    return rank;
  }
  bool has_wishes() const { return !state_.wishes.empty(); }

 private:
  /// The input of a state holds what is left of it, in its original order.
  void cut_states(const std::vector<NodeId>& nodes) {
    for (const StateUnits& s : table_.states) {
      if (nodes.empty()) return;
      const auto left = CutContext(state_, nodes.front(), kNone).canonical(s.input);
      state_.kept[static_cast<size_t>(s.input)] = left;
      for (const ValueId v : {s.input, s.output}) {
        Type& type = state_.graph.value(v).type;
        for (const Bundle& b : left) {
          if (type.has_rank()) (*type.dims)[static_cast<size_t>(b.ragged)] = b.length();
        }
      }
    }
  }

  /// The output of a declared state: what is left lies as the input of the next run has it.
  bool is_whole_state(ValueId v) const {
    for (const StateUnits& s : table_.states) {
      if (s.output != v) continue;
      const auto &in = state_.kept[static_cast<size_t>(s.input)], &out = state_.kept[static_cast<size_t>(v)];
      return std::all_of(out.begin(), out.end(), [&](const Bundle& b) {
        const Bundle* same = find_ragged(in, b.ragged);
        const std::vector<int> axes = same ? merged_axes(same->axes, b.axes) : b.axes;
        const Dims& dims = *table_.facts[static_cast<size_t>(v)].dims;
        return same && spread(*same, axes, dims) == spread(b, axes, dims);
      });
    }
    return false;
  }

  bool is_state(ValueId v) const {
    return std::any_of(table_.states.begin(), table_.states.end(), [v](const StateUnits& s) { return s.input == v || s.output == v; });
  }

  /// Constants that are computed from sizes of other values: cut sizes would change them, so they are pinned.
  void mark_sizes() {
    from_sizes_.resize(original_.value_count());
    const auto nodes = original_.nodes();
    for (size_t i = 0; i < nodes.size(); ++i) {
      next_.emplace(nodes[i], i + 1 < nodes.size() ? nodes[i + 1] : kNone);
      const Node& node = original_.node(nodes[i]);
      bool reads = node.op_type == "Shape" || node.op_type == "Size";
      for (const ValueId v : node.inputs) reads = reads || (v != kNone && from_sizes_[static_cast<size_t>(v)]);
      for (const ValueId v : node.outputs) {
        if (v != kNone) from_sizes_[static_cast<size_t>(v)] = reads && table_.facts[static_cast<size_t>(v)].constant;
      }
    }
  }

  NodeId next_of(NodeId id) const { return next_.at(id); }

  void visit(NodeId id, NodeId next) {
    CutContext context(state_, id, next);
    const Node& node = original_.node(id);
    pin(context, node);
    for (const ValueId v : captured_values(original_, node)) context.require_whole(v);
    const Op* op = unit_op(table_, node, rules_);
    if (op) op->cut(context);
    else context.opaque();
  }

  void pin(CutContext& context, const Node& node) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNone || !from_sizes_[static_cast<size_t>(v)] || table_.facts[static_cast<size_t>(v)].bound) continue;
      auto [at, fresh] = state_.pinned.try_emplace(v, kNone);
      if (fresh) at->second = context.constant_like(*table_.facts[static_cast<size_t>(v)].constant, original_.value(v).name);
      context.set_input(i, at->second);
    }
  }

  /// A graph output that is a constant calculated from sizes keeps its value.
  void pin_output(ValueId v) {
    const UnitFact& fact = table_.facts[static_cast<size_t>(v)];
    if (!from_sizes_[static_cast<size_t>(v)] || fact.bound || !sizes_changed(v)) return;
    const NodeId producer = original_.producer(v);
    const Node& node = original_.node(producer);
    CutContext context(state_, producer, next_of(producer));
    const bool reads_sizes = node.op_type == "Shape" || node.op_type == "Size";
    if (!reads_sizes) return pin(context, node);
    context.become("Identity", {context.constant_like(*fact.constant, original_.value(v).name)}, {});
  }

  /// Whether a size from which v is calculated is no longer what it was.
  bool sizes_changed(ValueId v) const {
    const NodeId producer = original_.producer(v);
    if (producer == kNone) return false;
    const auto& inputs = original_.node(producer).inputs;
    return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
      if (input == kNone) return false;
      return from_sizes_[static_cast<size_t>(input)] ? sizes_changed(input) : !state_.kept[static_cast<size_t>(input)].empty();
    });
  }

  /// Nodes and constants that nothing reads any more. What nothing read before stays.
  void sweep() {
    Graph& g = state_.graph;
    std::set<std::string> captured;
    for (const std::string& name : g.captured_by_bodies()) captured.insert(name);
    const auto unused = [&](ValueId v) {
      return v == kNone || (g.users(v).empty() && !g.is_output(v) && !captured.contains(g.value(v).name));
    };
    const std::vector<NodeId> nodes(g.nodes().begin(), g.nodes().end());
    for (size_t i = nodes.size(); i-- > 0;) {
      const Node& node = g.node(nodes[i]);
      if (std::all_of(node.outputs.begin(), node.outputs.end(), unused)) g.erase_node(nodes[i]);
    }
    std::vector<ValueId> gone;
    for (const auto& [v, initializer] : g.initializers()) {
      if (unused(v) && !(v < static_cast<ValueId>(original_.value_count()) && original_.users(v).empty())) gone.push_back(v);
    }
    for (size_t i = gone.size(); i-- > 0;) g.erase_initializer(gone[i]);
    gone_.insert(gone.begin(), gone.end());
  }

  /// A constant that replaced another one takes its name, and its place among the inputs (IR < 4).
  void take_names() {
    Graph& g = state_.graph;
    std::set<ValueId> taken;
    for (const auto& [made, from] : state_.cut_from) {
      if (!g.initializer(made) || !gone_.contains(from) || !taken.insert(from).second) continue;
      const std::string name = original_.value(from).name;
      g.rename_value(from, name + "__whole");
      g.rename_value(made, name);
      std::replace(g.inputs.begin(), g.inputs.end(), from, made);
    }
    std::erase_if(g.inputs, [&](ValueId v) { return gone_.contains(v); });
  }

  /// Sizes declared for values that changed are dropped.
  void drop_types() {
    Graph& g = state_.graph;
    for (size_t i = 0; i < original_.value_count(); ++i) {
      Value& value = g.value(static_cast<ValueId>(i));
      const auto v = static_cast<ValueId>(i);
      if (state_.kept[i].empty() || is_state(v) || original_.is_input(v) || original_.is_output(v)) continue;
      if (value.declared) value.type = {};
      value.declared = false;
      for (const Bundle& b : state_.kept[i]) {  // a body's input or output
        if (value.type.has_rank()) (*value.type.dims)[static_cast<size_t>(b.ragged)] = b.length();
      }
    }
  }

  /// What is left is what inference finds.
  void check_types() {
    Graph& g = state_.graph;
    InferOptions options;
    std::map<std::string, Dims> inputs;
    for (const ValueId v : g.inputs) {
      if (g.initializer(v)) continue;  // it may be a smaller one, made in the place of a weight that was an input
      const auto& dims = table_.facts[static_cast<size_t>(v)].dims;
      if (!dims) continue;
      Dims& left = inputs.emplace(g.value(v).name, *dims).first->second;
      for (const Bundle& b : state_.kept[static_cast<size_t>(v)]) left[static_cast<size_t>(b.ragged)] = b.length();
    }
    options.input_dims = std::move(inputs);
    options.fold_bytes_per_tensor = 1 << 16;
    const FactTable facts = infer(g, options);
    for (const NodeId id : visited_nodes(table_)) {
      for (const ValueId v : original_.node(id).outputs) {
        if (v != kNone) check_sizes(facts, v);
      }
    }
  }

  void check_sizes(const FactTable& facts, ValueId v) const {
    const auto found = facts.type(v).known_dims();
    if (!found || !table_.facts[static_cast<size_t>(v)].dims) return;
    Dims expected = *table_.facts[static_cast<size_t>(v)].dims;
    for (const Bundle& k : state_.kept[static_cast<size_t>(v)]) expected[static_cast<size_t>(k.ragged)] = k.length();
    if (*found == expected) return;
    throw Error(ErrorKind::internal, "value '" + original_.value(v).name + "' is " + to_string(*found) +
                                         " after the cut, expected " + to_string(expected));
  }

  const UnitTable& table_;
  const Graph& original_;
  const UnitRules& rules_;
  CutState state_;
  std::vector<bool> from_sizes_;
  std::unordered_map<NodeId, NodeId> next_;
  std::set<ValueId> gone_;
};

}  // namespace

CutGraph cut_units(const UnitTable& table, const std::vector<bool>& keep, const UnitRules& rules) {
  Surgeon first(table, keep, rules);
  CutGraph best = first.run();
  std::optional<std::vector<int32_t>> rank;
  if (first.has_wishes()) rank = first.wished_rank();
  for (int round = 0; rank && round < kBirthOrders; ++round) {
    Surgeon again(table, keep, rules, *rank);
    rank.reset();
    try {
      CutGraph other = again.run();
      if (other.gathers.size() >= best.gathers.size()) break;
      best = std::move(other);
      if (again.has_wishes()) rank = again.wished_rank();
    } catch (const Inexpressible&) {
      break;  // the original order can be said
    }
  }
  return best;
}

}  // namespace espalier
