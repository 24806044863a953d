#include "lib/graph/patch.h"

#include <algorithm>
#include <set>

#include "lib/base/error.h"

namespace espalier {
namespace {

bool sizes_differ(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  return difference.known() && !difference.is(0);
}

bool types_differ(const Type& a, const Type& b) {
  if (a.kind == Type::Kind::unknown || b.kind == Type::Kind::unknown) return false;
  if (a.kind != b.kind) return true;
  const bool typed = a.elem_type != DataType::undefined && b.elem_type != DataType::undefined;
  if (typed && a.elem_type != b.elem_type) return true;
  if (!a.dims || !b.dims) return false;
  if (a.rank() != b.rank()) return true;
  for (size_t i = 0; i < a.dims->size(); ++i) {
    if (sizes_differ((*a.dims)[i], (*b.dims)[i])) return true;
  }
  return false;
}

std::set<std::string> names_read_by(const Node& node) {
  Graph alone;  // captured_by_bodies speaks of a graph
  Node copy;
  copy.attributes = node.attributes;
  alone.add_node(std::move(copy));
  const auto names = alone.captured_by_bodies();
  return {names.begin(), names.end()};
}

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value);
  });
}

/// Replaces values in a graph whose new nodes are already there.
class Replacer {
 public:
  Replacer(Graph& graph, std::set<NodeId> own) : graph_(graph), own_(std::move(own)) {
    const auto names = graph.captured_by_bodies();
    captured_.insert(names.begin(), names.end());
  }

  void replace(ValueId old, ValueId with) {
    if (old == with) return;
    const NodeId maker = graph_.producer(old);
    if (maker != kNone) touched_.insert(maker);
    if (needs_name(old)) keep_name(old, with);
    else redirect(old, with);
  }

  void erase_dead() {
    std::vector<NodeId> open(touched_.begin(), touched_.end());
    while (!open.empty()) {
      const NodeId id = open.back();
      open.pop_back();
      if (!graph_.contains(id) || is_live(graph_.node(id))) continue;
      const std::vector<ValueId> inputs = graph_.node(id).inputs;
      graph_.erase_node(id);
      for (const ValueId v : inputs) {
        if (v == kNone) continue;
        if (graph_.producer(v) != kNone) open.push_back(graph_.producer(v));
        else if (graph_.initializer(v) && !is_read(v) && !graph_.is_input(v)) graph_.erase_initializer(v);
      }
    }
  }

 private:
  bool needs_name(ValueId v) const { return graph_.is_output(v) || captured_.contains(graph_.value(v).name); }
  bool is_read(ValueId v) const { return !graph_.users(v).empty() || needs_name(v); }
  bool is_live(const Node& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v != kNone && is_read(v); });
  }

  void redirect(ValueId old, ValueId with) {
    const auto users = graph_.users(old);
    for (const NodeId reader : std::vector<NodeId>(users.begin(), users.end())) {
      if (own_.contains(reader)) continue;
      auto inputs = graph_.node(reader).inputs;
      std::replace(inputs.begin(), inputs.end(), old, with);
      graph_.set_inputs(reader, std::move(inputs));
    }
  }

  // `old` gets another maker. Nodes of the patch that read it mean what it was.
  void keep_name(ValueId old, ValueId with) {
    const NodeId former = graph_.producer(old);
    check(former != kNone, "a replaced value that a node makes, not an input or initialiser: " + graph_.value(old).name);
    const ValueId before = graph_.add_value(graph_.value(old).name + "_before", graph_.value(old).type);
    set_output(former, old, before);
    const auto users = graph_.users(old);
    for (const NodeId reader : std::vector<NodeId>(users.begin(), users.end())) {
      if (own_.contains(reader)) set_reads(reader, old, before);
    }
    const NodeId maker = graph_.producer(with);
    if (maker == kNone || needs_name(with)) {
      Node identity;
      identity.op_type = "Identity";
      identity.version = graph_.opset();
      identity.inputs = {with};
      identity.outputs = {old};
      own_.insert(graph_.add_node(std::move(identity)));
      redirect(old, with);
      return;
    }
    set_output(maker, with, old);
    graph_.replace_uses(with, old);
  }

  void set_output(NodeId id, ValueId from, ValueId to) {
    auto outputs = graph_.node(id).outputs;
    std::replace(outputs.begin(), outputs.end(), from, to);
    graph_.set_outputs(id, std::move(outputs));
  }

  void set_reads(NodeId id, ValueId from, ValueId to) {
    auto inputs = graph_.node(id).inputs;
    std::replace(inputs.begin(), inputs.end(), from, to);
    graph_.set_inputs(id, std::move(inputs));
  }

  Graph& graph_;
  std::set<NodeId> own_, touched_;
  std::set<std::string> captured_;
};

class Sorter {
 public:
  Sorter(const Graph& graph) : graph_(graph), state_(graph.node_limit(), State::fresh) {}

  // New nodes stand at the end; asked for in order, they come before who needs them.
  std::vector<NodeId> order() {
    for (const NodeId id : graph_.nodes()) visit(id);
    return std::move(order_);
  }

 private:
  enum class State { fresh, open, done };

  void visit(NodeId id) {
    if (id == kNone || state_[id] == State::done) return;
    const Node& node = graph_.node(id);
    check(state_[id] != State::open, "a graph without a cycle, found one through " + node.where());
    state_[id] = State::open;
    for (const ValueId v : node.inputs) {
      if (v != kNone) visit(graph_.producer(v));
    }
    if (has_body(node)) {
      for (const std::string& name : names_read_by(node)) {
        const ValueId v = graph_.find_value(name);
        if (v != kNone && graph_.producer(v) != id) visit(graph_.producer(v));
      }
    }
    state_[id] = State::done;
    order_.push_back(id);
  }

  const Graph& graph_;
  std::vector<State> state_;
  std::vector<NodeId> order_;
};

}  // namespace

void sort_nodes(Graph& graph) { graph.reorder(Sorter(graph).order()); }

Patch::Patch(const Graph& graph) : value_count_(graph.value_count()), node_limit_(graph.node_limit()) {}

ValueId Patch::add_value(std::string base, Type type) {
  values_.push_back({std::move(base), std::move(type), {}});
  return static_cast<ValueId>(value_count_ + values_.size() - 1);
}

ValueId Patch::add_constant(std::string base, Tensor tensor) {
  const ValueId id = add_value(std::move(base), Type::tensor(tensor.type(), tensor.dims()));
  values_.back().constant = std::move(tensor);
  return id;
}

void Patch::add_node(Node node) { nodes_.push_back(std::move(node)); }

ValueId Patch::add_node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
                        std::string output, Type type) {
  Node node;
  node.op_type = std::move(op_type);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId id = add_value(std::move(output), std::move(type));
  node.outputs = {id};
  add_node(std::move(node));
  return id;
}

void Patch::replace(ValueId old, ValueId with) { replacements_.push_back({old, with}); }

Type Patch::type_of_value(ValueId id, const TypeOf& type_of) const {
  const auto i = static_cast<size_t>(id);
  return i < value_count_ ? type_of(id) : values_.at(i - value_count_).type;
}

void Patch::require_same_types(const Graph& graph, const TypeOf& type_of) const {
  for (const auto& [old, with] : replacements_) {
    const Type before = type_of_value(old, type_of), after = type_of_value(with, type_of);
    if (!types_differ(before, after)) continue;
    throw Error(ErrorKind::internal, "replacement of value '" + graph.value(old).name + "' has type " + after.str() +
                                         ", expected " + before.str());
  }
}

// Of a value that is itself replaced, what stands for it in the end.
ValueId Patch::final_value(ValueId id) const {
  for (size_t steps = 0; steps <= replacements_.size(); ++steps) {
    const auto found = std::find_if(replacements_.begin(), replacements_.end(), [&](const auto& r) { return r.old == id; });
    if (found == replacements_.end()) return id;
    id = found->with;
  }
  throw Error(ErrorKind::internal, "values of a patch replace each other in a ring");
}

void Patch::apply(Graph& graph, const TypeOf& type_of) {
  check(graph.value_count() == value_count_ && graph.node_limit() == node_limit_,
        "a graph that did not change since its patch was begun");
  require_same_types(graph, type_of);
  for (NewValue& v : values_) {
    const ValueId id = graph.add_value(std::move(v.base));
    if (v.constant.defined()) graph.set_initializer(id, std::move(v.constant));
  }
  std::set<NodeId> own;
  for (Node& node : nodes_) {
    const auto imported = graph.opsets.find(node.domain);
    if (node.version == 0 && imported != graph.opsets.end()) node.version = imported->second;
    own.insert(graph.add_node(std::move(node)));
  }
  Replacer replacer(graph, std::move(own));
  for (const auto& [old, with] : replacements_) replacer.replace(old, final_value(with));
  replacer.erase_dead();
  sort_nodes(graph);
  *this = Patch(graph);
}

}  // namespace espalier
