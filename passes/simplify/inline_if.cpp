#include "passes/simplify/inline_if.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

/// One branch on its way into the graph of its If.
class Inlining {
 public:
  Inlining(Graph& graph, NodeId id, const Graph& branch) : graph_(graph), id_(id), branch_(branch), values_(branch.value_count(), kNone) {}

  void run() {
    const std::vector<ValueId> results = graph_.node(id_).outputs;
    graph_.set_outputs(id_, std::vector<ValueId>(results.size(), kNone));
    take_results(results);
    for (size_t i = 0; i < values_.size(); ++i) {
      if (values_[i] == kNone) values_[i] = place(static_cast<ValueId>(i));
    }
    for (const auto& [v, initializer] : branch_.initializers()) graph_.set_initializer(values_[static_cast<size_t>(v)], initializer);
    for (const NodeId n : branch_.nodes()) copy(branch_.node(n));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i] != kNone && graph_.producer(results[i]) == kNone) pass_on(mapped(branch_.outputs[i]), results[i]);
    }
    graph_.erase_node(id_);
  }

 private:
  ValueId mapped(ValueId v) const { return v == kNone ? kNone : values_[static_cast<size_t>(v)]; }

  /// What the branch makes itself is made as the If's output, once.
  void take_results(const std::vector<ValueId>& results) {
    for (size_t i = 0; i < results.size(); ++i) {
      const ValueId made = branch_.outputs[i];
      if (results[i] == kNone || branch_.producer(made) == kNone || mapped(made) != kNone) continue;
      values_[static_cast<size_t>(made)] = results[i];
      new_names_[branch_.value(made).name] = graph_.value(results[i]).name;
    }
  }

  ValueId place(ValueId v) {
    const Value& value = branch_.value(v);
    if (value.captured) {
      const ValueId outer = graph_.find_value(value.name);
      if (outer != kNone) return outer;
      const ValueId further_out = graph_.add_value(value.name);
      graph_.value(further_out).captured = true;
      return further_out;
    }
    std::string fresh = value.name;
    for (int n = 1; graph_.find_value(fresh) != kNone || taken_elsewhere(fresh); ++n) fresh = value.name + "_" + std::to_string(n);
    if (fresh != value.name) new_names_[value.name] = fresh;
    const ValueId placed = graph_.add_value(fresh, value.type);
    graph_.value(placed).declared = value.declared;
    return placed;
  }

  bool taken_elsewhere(const std::string& name) {
    if (!other_names_) {
      other_names_.emplace();
      for (const NodeId n : graph_.nodes()) {
        if (n == id_) continue;
        for (const Attribute& a : graph_.node(n).attributes) {
          if (const auto* body = std::get_if<Body>(&a.value)) collect_names(**body, *other_names_);
        }
      }
    }
    return other_names_->contains(name);
  }

  void copy(Node node) {
    for (ValueId& v : node.inputs) v = mapped(v);
    for (ValueId& v : node.outputs) v = mapped(v);
    for (Attribute& a : node.attributes) {
      if (auto* body = std::get_if<Body>(&a.value)) *body = rename_captured(*body, new_names_);
    }
    graph_.add_node(std::move(node), id_);
  }

  /// An output that is an input of the branch from outside, a constant, or another output too.
  void pass_on(ValueId from, ValueId to) {
    Node node;
    node.op_type = "Identity";
    node.version = graph_.node(id_).version;
    node.inputs = {from};
    node.outputs = {to};
    graph_.add_node(std::move(node), id_);
  }

  Graph& graph_;
  NodeId id_;
  const Graph& branch_;
  std::vector<ValueId> values_;
  std::optional<std::set<std::string>> other_names_;
  std::map<std::string, std::string> new_names_;
};

int64_t inline_all(Graph& graph) {
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  const auto is_if = [&](NodeId id) { return graph.node(id).op_type == "If" && find_op(graph.node(id)); };
  if (std::none_of(nodes.begin(), nodes.end(), is_if)) return 0;
  const FactTable facts = infer(graph);
  int64_t inlined = 0;
  for (const NodeId id : nodes) {
    if (!is_if(id)) continue;
    const Tensor* condition = facts.constant(graph.node(id).inputs[0]);
    if (!condition) continue;
    const Body branch = graph.node(id).require<Body>(condition->data<bool>()[0] ? "then_branch" : "else_branch");
    Inlining(graph, id, *branch).run();
    ++inlined;
  }
  return inlined;
}

void run(PassContext& context) { context.count("inlined", inline_known_branches(context.graph())); }

constexpr PassCounter kCounters[] = {{"inlined", "If nodes replaced by the branch that is taken"}};

}  // namespace

int64_t inline_known_branches(Graph& graph) { return edit_graphs(graph, inline_all); }

extern const Pass inline_if;
const Pass inline_if = {.name = "inline-if",
                        .summary = "replace an If of a known condition by its branch",
                        .contract = Contract::equal,
                        .counters = kCounters,
                        .run = run};

}  // namespace espalier::passes
