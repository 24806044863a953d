#include "lib/graph/graph.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/error.h"

namespace espalier {

int Graph::opset() const {
  const auto found = opsets.find("");
  return found == opsets.end() ? 1 : found->second;
}

ValueId Graph::add_value(std::string base, Type type) {
  if (base.empty()) base = "value";
  std::string unique = base;
  for (size_t i = 1; by_name_.contains(unique); ++i) unique = base + "_" + std::to_string(i);
  const auto id = static_cast<ValueId>(values_.size());
  by_name_.emplace(unique, id);
  values_.push_back({std::move(unique), std::move(type), false, false, false});
  producers_.push_back(kNone);
  users_.emplace_back();
  return id;
}

const Value& Graph::value(ValueId id) const {
  check(id >= 0 && static_cast<size_t>(id) < values_.size(), "a value id of this graph");
  return values_[id];
}

Value& Graph::value(ValueId id) { return const_cast<Value&>(std::as_const(*this).value(id)); }

ValueId Graph::find_value(std::string_view value_name) const {
  const auto found = by_name_.find(std::string(value_name));
  return found == by_name_.end() ? kNone : found->second;
}

void Graph::rename_value(ValueId id, std::string new_name) {
  if (value(id).name == new_name) return;
  check(!by_name_.contains(new_name), "a value name that is free: " + new_name);
  by_name_.erase(value(id).name);
  by_name_.emplace(new_name, id);
  values_[id].name = std::move(new_name);
}

NodeId Graph::add_node(Node node, NodeId before) {
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.emplace_back(std::move(node));
  const auto at = before == kNone ? order_.end() : std::find(order_.begin(), order_.end(), before);
  check(before == kNone || at != order_.end(), "a node to insert before");
  order_.insert(at, id);
  link(id);
  return id;
}

const Node& Graph::node(NodeId id) const {
  check(contains(id), "a node id of this graph");
  return *nodes_[id];
}

bool Graph::contains(NodeId id) const {
  return id >= 0 && static_cast<size_t>(id) < nodes_.size() && nodes_[id].has_value();
}

void Graph::link(NodeId id) {
  for (const ValueId v : nodes_[id]->outputs) {
    if (v == kNone) continue;
    check(!value(v).name.empty() && producers_[v] == kNone, "one producer for value " + value(v).name);
    producers_[v] = id;
  }
  for (const ValueId v : nodes_[id]->inputs) {
    if (v == kNone) continue;
    check(static_cast<size_t>(v) < values_.size(), "a value id of this graph");
    auto& list = users_[v];
    if (std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
  }
}

void Graph::unlink(NodeId id) {
  for (const ValueId v : nodes_[id]->outputs) {
    if (v != kNone) producers_[v] = kNone;
  }
  for (const ValueId v : nodes_[id]->inputs) {
    if (v != kNone) std::erase(users_[v], id);
  }
}

void Graph::erase_node(NodeId id) {
  check(contains(id), "a node to erase");
  unlink(id);
  nodes_[id].reset();
  order_.erase(std::find(order_.begin(), order_.end(), id));
}

void Graph::set_inputs(NodeId id, std::vector<ValueId> to) {
  check(contains(id), "a node to change");
  unlink(id);
  nodes_[id]->inputs = std::move(to);
  link(id);
}

void Graph::set_input(NodeId id, size_t index, ValueId to) {
  auto changed = node(id).inputs;
  check(index < changed.size(), "an input to change");
  changed[index] = to;
  set_inputs(id, std::move(changed));
}

void Graph::set_outputs(NodeId id, std::vector<ValueId> to) {
  check(contains(id), "a node to change");
  unlink(id);
  nodes_[id]->outputs = std::move(to);
  link(id);
}

void Graph::set_attribute(NodeId id, Attribute attribute) {
  check(contains(id), "a node to change");
  auto& list = nodes_[id]->attributes;
  const auto found = std::find_if(list.begin(), list.end(), [&](const Attribute& a) { return a.name == attribute.name; });
  if (found == list.end()) list.push_back(std::move(attribute));
  else *found = std::move(attribute);
}

void Graph::set_attribute(NodeId id, std::string attribute, Attribute::Value value) {
  set_attribute(id, Attribute{std::move(attribute), std::move(value), {}});
}

void Graph::erase_attribute(NodeId id, std::string_view attribute) {
  check(contains(id), "a node to change");
  std::erase_if(nodes_[id]->attributes, [&](const Attribute& a) { return a.name == attribute; });
}

void Graph::set_node_name(NodeId id, std::string node_name) {
  check(contains(id), "a node to change");
  nodes_[id]->name = std::move(node_name);
}

void Graph::set_op_type(NodeId id, std::string op_type, int version) {
  check(contains(id), "a node to change");
  nodes_[id]->op_type = std::move(op_type);
  nodes_[id]->version = version;
}

void Graph::reorder(std::vector<NodeId> order) {
  check(std::is_permutation(order.begin(), order.end(), order_.begin(), order_.end()), "an order of the same nodes");
  order_ = std::move(order);
}

NodeId Graph::producer(ValueId id) const {
  value(id);
  return producers_[id];
}

std::span<const NodeId> Graph::users(ValueId id) const {
  value(id);
  return users_[id];
}

bool Graph::is_input(ValueId id) const { return std::find(inputs.begin(), inputs.end(), id) != inputs.end(); }
bool Graph::is_output(ValueId id) const { return std::find(outputs.begin(), outputs.end(), id) != outputs.end(); }

void Graph::replace_uses(ValueId from, ValueId to) {
  const std::vector<NodeId> readers = users_[from];
  for (const NodeId id : readers) {
    auto changed = node(id).inputs;
    std::replace(changed.begin(), changed.end(), from, to);
    set_inputs(id, std::move(changed));
  }
  std::replace(outputs.begin(), outputs.end(), from, to);
}

namespace {

template <class Visit>
void for_each_body(const Node& node, Visit&& visit) {
  for (const Attribute& a : node.attributes) {
    if (const auto* body = std::get_if<Body>(&a.value)) visit(**body);
    if (const auto* bodies = std::get_if<std::vector<Body>>(&a.value)) {
      for (const Body& b : *bodies) visit(*b);
    }
  }
}

}  // namespace

std::vector<std::string> Graph::captured_by_bodies() const {
  std::set<std::string> names;
  for (const NodeId id : order_) {
    for_each_body(node(id), [&](const Graph& body) {
      for (size_t v = 0; v < body.value_count(); ++v) {
        const Value& inner = body.value(static_cast<ValueId>(v));
        if (inner.captured) names.insert(inner.name);
      }
      for (auto& deeper : body.captured_by_bodies()) {
        const ValueId here = body.find_value(deeper);
        if (here == kNone || body.value(here).captured) names.insert(deeper);
      }
    });
  }
  return {names.begin(), names.end()};
}

const Tensor* Graph::initializer(ValueId id) const {
  const auto found = initializer_index_.find(id);
  return found == initializer_index_.end() ? nullptr : &initializers_[found->second].second.tensor;
}

void Graph::set_initializer(ValueId id, Initializer initializer) {
  value(id);
  const auto [at, fresh] = initializer_index_.try_emplace(id, initializers_.size());
  if (fresh) initializers_.emplace_back(id, std::move(initializer));
  else initializers_[at->second].second = std::move(initializer);
}

void Graph::set_initializer(ValueId id, Tensor tensor) {
  const auto found = initializer_index_.find(id);
  std::string kept;
  if (found != initializer_index_.end()) {
    const Initializer& old = initializers_[found->second].second;
    if (old.tensor.type() == tensor.type() && old.tensor.dims() == tensor.dims()) kept = old.rest;
  }
  set_initializer(id, Initializer{std::move(tensor), std::move(kept)});
}

void Graph::erase_initializer(ValueId id) {
  const auto found = initializer_index_.find(id);
  if (found == initializer_index_.end()) return;
  const size_t at = found->second;
  initializers_.erase(initializers_.begin() + static_cast<ptrdiff_t>(at));
  initializer_index_.erase(found);
  for (size_t i = at; i < initializers_.size(); ++i) initializer_index_.find(initializers_[i].first)->second = i;
}

const Tensor* Graph::constant(ValueId id) const {
  if (const Tensor* tensor = initializer(id)) return tensor;
  const NodeId made_by = producer(id);
  if (made_by == kNone) return nullptr;
  const Node& n = node(made_by);
  if (n.op_type != "Constant" || !n.domain.empty()) return nullptr;
  const Attribute* attribute = n.find("value");
  return attribute ? std::get_if<Tensor>(&attribute->value) : nullptr;
}

}  // namespace espalier
