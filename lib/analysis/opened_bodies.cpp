#include "lib/analysis/opened_bodies.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "lib/base/error.h"
#include "lib/ops/carried_states.h"

namespace espalier {
namespace {

constexpr const char* kBegin = "BodyBegin";

bool has_bodies(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value);
  });
}

/// Where a body's nodes come from: facts of its graph, and what its names mean in the opened graph.
struct Scope {
  const FactTable &bound, &symbolic;
  std::map<std::string, ValueId> names;
};

class Opener {
 public:
  Opener(const Graph& graph, const FactTable& bound, const FactTable& symbolic) : bound_(bound), symbolic_(symbolic) {
    result_.graph = graph;
  }

  std::shared_ptr<const OpenedBodies> run() {
    Graph& g = result_.graph;
    Scope scope{bound_, symbolic_, {}};
    for (size_t i = 0; i < g.value_count(); ++i) {
      const auto v = static_cast<ValueId>(i);
      scope.names.emplace(g.value(v).name, v);
    }
    const std::vector<NodeId> nodes(g.nodes().begin(), g.nodes().end());
    for (const NodeId id : nodes) {
      if (openable(g.node(id), id, bound_, symbolic_)) open(id, id, scope, -1);
    }
    if (result_.bodies.empty()) return nullptr;
    return std::make_shared<const OpenedBodies>(std::move(result_));
  }

 private:
  /// own: the node's id in the graph that the facts belong to.
  static bool openable(const Node& node, NodeId own, const FactTable& bound, const FactTable& symbolic) {
    const bool known = node.op_type == "If" || node.op_type == "Loop" || node.op_type == "Scan";
    if (!known || !node.domain.empty() || (node.op_type == "Scan" && node.version < 9)) return false;
    for (const Attribute& a : node.attributes) {
      if (std::holds_alternative<std::vector<Body>>(a.value)) return false;
      const Body* body = std::get_if<Body>(&a.value);
      if (!body) continue;
      const FactTable *b = bound.body(own, a.name), *s = symbolic.body(own, a.name);
      if (!b || !s) return false;
      for (const NodeId id : (*body)->nodes()) {
        const Node& inner = (*body)->node(id);
        if (has_bodies(inner) && !openable(inner, id, *b, *s)) return false;
      }
    }
    return true;
  }

  void open(NodeId id, NodeId own, const Scope& scope, int outside) {
    Graph& g = result_.graph;
    const Node node = g.node(id);
    result_.closed.emplace(id, node);
    std::vector<ValueId> inputs = node.inputs;
    for (const Attribute& a : node.attributes) {
      const Body* body = std::get_if<Body>(&a.value);
      if (!body) continue;
      const auto index = static_cast<int>(result_.bodies.size());
      result_.bodies.push_back({id, a.name, *body, outside, {}, inputs.size(), (*body)->outputs.size()});
      const Scope inside = place(**body, index, scope, {*scope.bound.body(own, a.name), *scope.symbolic.body(own, a.name), {}});
      for (const ValueId v : (*body)->outputs) inputs.push_back(inside.names.at((*body)->value(v).name));
      copy_nodes(**body, index, inside, id);
    }
    for (const Attribute& a : node.attributes) {
      if (std::holds_alternative<Body>(a.value)) g.erase_attribute(id, a.name);
    }
    g.set_inputs(id, std::move(inputs));
    if (node.op_type != "If") mark_carried(id, node);
  }

  /// Which states keep one known size and are no constants.
  void mark_carried(NodeId id, const Node& node) {
    const OpenedBodies::Opened& body = *std::find_if(result_.bodies.begin(), result_.bodies.end(), [&](const auto& b) { return b.end == id; });
    const CarriedStates states = carried_states(node, false);
    std::vector<int64_t> carried;
    for (size_t k = 0; k < states.count; ++k) {
      const ValueId after = result_.graph.node(id).inputs[body.first + states.out_of_body + k];
      const Fact *a = added(body.inputs[states.in_body + k]), *b = added(after);
      if (!a || !b || a->constant || b->constant) continue;
      const auto before = a->type.known_dims(), then = b->type.known_dims();
      if (before && then && *before == *then) carried.push_back(static_cast<int64_t>(k));
    }
    result_.graph.set_attribute(id, kCarried, carried);
  }

  /// What is known of a value that was added for a body.
  const Fact* added(ValueId v) const {
    const auto first = static_cast<ValueId>(result_.graph.value_count() - result_.bound.size());
    return v < first ? nullptr : &result_.bound[static_cast<size_t>(v - first)];
  }

  Scope place(const Graph& body, int index, const Scope& around, Scope inside) {
    Graph& g = result_.graph;
    inside.names = around.names;
    for (size_t i = 0; i < body.value_count(); ++i) {
      const Value& value = body.value(static_cast<ValueId>(i));
      if (value.captured && around.names.contains(value.name)) continue;
      const ValueId placed = g.add_value(value.name, value.type);
      g.value(placed).declared = value.declared;
      inside.names[value.name] = placed;
      result_.names.emplace(g.value(placed).name, value.name);
      result_.home.emplace(g.value(placed).name, index);
      result_.bound.push_back(inside.bound[static_cast<ValueId>(i)]);
      result_.symbolic.push_back(inside.symbolic[static_cast<ValueId>(i)]);
    }
    for (const auto& [v, initializer] : body.initializers()) g.set_initializer(inside.names.at(body.value(v).name), initializer);
    return inside;
  }

  void copy_nodes(const Graph& body, int index, const Scope& inside, NodeId end) {
    Graph& g = result_.graph;
    const auto placed = [&](ValueId v) { return v == kNone ? kNone : inside.names.at(body.value(v).name); };
    if (!body.inputs.empty()) {
      Node begin;
      begin.op_type = kBegin;
      begin.domain = kInternalDomain;
      begin.version = 1;
      for (const ValueId v : body.inputs) begin.outputs.push_back(placed(v));
      result_.bodies[static_cast<size_t>(index)].inputs = begin.outputs;
      result_.body_of.emplace(g.add_node(std::move(begin), end), index);
    }
    for (const NodeId own : body.nodes()) {
      Node node = body.node(own);
      for (ValueId& v : node.inputs) v = placed(v);
      for (ValueId& v : node.outputs) v = placed(v);
      const bool bodies = has_bodies(node);
      const NodeId id = g.add_node(std::move(node), end);
      result_.body_of.emplace(id, index);
      if (bodies) open(id, own, inside, index);
    }
  }

  const FactTable &bound_, &symbolic_;
  OpenedBodies result_;
};

class Closer {
 public:
  Closer(const OpenedBodies& opened, const Graph& graph, const std::unordered_map<NodeId, NodeId>& made_for)
      : opened_(opened), g_(graph), body_of_(opened.body_of) {
    for (const auto& [made, maker] : made_for) made_for_.emplace(made, maker);
    for (const auto& [here, there] : opened.names) taken_.insert(there);
  }

  Graph run() {
    attribute_new_nodes();
    settle_values();
    for (size_t i = opened_.bodies.size(); i-- > 0;) close(static_cast<int>(i));
    for (const auto& [id, index] : body_of_) {
      if (g_.contains(id)) g_.erase_node(id);
    }
    for (const auto& [v, index] : home_) {
      if (index < 0) continue;
      g_.erase_initializer(v);
      g_.value(v).declared = false;
    }
    return std::move(g_);
  }

 private:
  const OpenedBodies::Opened& body(int index) const { return opened_.bodies[static_cast<size_t>(index)]; }

  int place_of(NodeId id) const {
    const auto found = body_of_.find(id);
    return found == body_of_.end() ? -1 : found->second;
  }

  /// A new node stands where that stands for which it was made; one that brings an output of a body into order, in the body.
  void attribute_new_nodes() {
    for (int i = 0; i < static_cast<int>(opened_.bodies.size()); ++i) {
      if (!g_.contains(body(i).end)) continue;
      for (size_t k = 0; k < body(i).count; ++k) {
        std::vector<ValueId> rest = {g_.node(body(i).end).inputs[body(i).first + k]};
        while (!rest.empty()) {
          const NodeId id = rest.back() == kNone ? kNone : g_.producer(rest.back());
          rest.pop_back();
          const auto made = id == kNone ? made_for_.end() : made_for_.find(id);
          if (made == made_for_.end() || made->second != body(i).end || body_of_.contains(id)) continue;
          body_of_.emplace(id, i);
          for (const ValueId v : g_.node(id).inputs) rest.push_back(v);
        }
      }
    }
    for (const auto& [id, maker] : made_for_) {
      if (!body_of_.contains(id) && place_of(maker) >= 0) body_of_.emplace(id, place_of(maker));
    }
  }

  int common(int a, int b) const {
    const auto depth = [&](int i) {
      int result = 0;
      for (; i >= 0; i = body(i).outside) ++result;
      return result;
    };
    while (a != b) {
      if (depth(a) >= depth(b)) a = body(a).outside;
      else b = body(b).outside;
    }
    return a;
  }

  /// Where each value lives: with what makes it, a constant of a body in its body, a new one as far inside as all that read it.
  void settle_values() {
    for (size_t i = 0; i < g_.value_count(); ++i) {
      const auto v = static_cast<ValueId>(i);
      const NodeId maker = g_.producer(v);
      const auto named = opened_.home.find(g_.value(v).name);
      if (maker != kNone) home_[v] = place_of(maker);
      else if (named != opened_.home.end()) home_[v] = named->second;
      else if (v >= static_cast<ValueId>(opened_.graph.value_count())) home_[v] = of_readers(v);
      else home_[v] = -1;
    }
  }

  int of_readers(ValueId v) const {
    std::optional<int> where;
    const auto reads = [&](int index) { where = where ? common(*where, index) : index; };
    for (const NodeId id : g_.users(v)) {
      for (const int i : readers(id, v)) reads(i);
    }
    return g_.is_output(v) ? -1 : where.value_or(-1);
  }

  /// The places where a node reads v: its own, or a body of its that hands v out.
  std::vector<int> readers(NodeId id, ValueId v) const {
    std::vector<int> result;
    const auto& inputs = g_.node(id).inputs;
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (inputs[k] != v) continue;
      int where = place_of(id);
      for (int i = 0; i < static_cast<int>(opened_.bodies.size()); ++i) {
        if (body(i).end == id && k >= body(i).first && k < body(i).first + body(i).count) where = i;
      }
      result.push_back(where);
    }
    return result;
  }

  std::string name_of(ValueId v) {
    const std::string& here = g_.value(v).name;
    if (home_[v] < 0) return here;
    const auto known = opened_.names.find(here);
    if (known != opened_.names.end()) return known->second;
    std::string& fresh = fresh_[v];
    if (!fresh.empty()) return fresh;
    fresh = here;
    for (int n = 1; taken_.contains(fresh); ++n) fresh = here + "_" + std::to_string(n);
    taken_.insert(fresh);
    return fresh;
  }

  /// Bodies inside this one are closed already.
  void close(int index) {
    const OpenedBodies::Opened& o = body(index);
    if (!g_.contains(o.end)) return;
    Graph made;
    made.name = o.body->name;
    made.opsets = o.body->opsets;
    made.rest = o.body->rest;
    std::map<ValueId, ValueId> placed;
    const auto place = [&](ValueId v) {
      if (v == kNone) return kNone;
      const auto [at, fresh] = placed.try_emplace(v, kNone);
      if (!fresh) return at->second;
      const bool own = home_[v] == index;
      at->second = made.add_value(name_of(v), own ? g_.value(v).type : Type{});
      made.value(at->second).captured = !own;
      made.value(at->second).declared = own && g_.value(v).declared;
      return at->second;
    };
    for (const ValueId v : o.inputs) made.inputs.push_back(place(v));
    for (const auto& [v, initializer] : g_.initializers()) {
      if (home_[v] == index) made.set_initializer(place(v), initializer);
    }
    for (const NodeId id : g_.nodes()) {
      if (place_of(id) != index || g_.node(id).op_type == kBegin) continue;
      Node node = g_.node(id);
      for (ValueId& v : node.inputs) v = place(v);
      for (ValueId& v : node.outputs) v = place(v);
      made.add_node(std::move(node));
    }
    const Node end = g_.node(o.end);
    for (size_t k = 0; k < o.count; ++k) made.outputs.push_back(place(end.inputs[o.first + k]));
    Body closed = same_graph(made, *o.body) ? o.body : std::make_shared<const Graph>(std::move(made));
    attach(o, std::move(closed));
  }

  /// The body stands at the node again, in the place among the attributes that it had.
  void attach(const OpenedBodies::Opened& o, Body closed) {
    std::map<std::string, Body>& bodies = closed_[o.end];
    bodies.emplace(o.attribute, std::move(closed));
    const Node& was = opened_.closed.at(o.end);
    const auto is_body = [](const Attribute& a) { return std::holds_alternative<Body>(a.value); };
    const auto wanted = std::count_if(was.attributes.begin(), was.attributes.end(), is_body);
    if (static_cast<std::ptrdiff_t>(bodies.size()) < wanted) return;
    std::vector<ValueId> inputs = g_.node(o.end).inputs;
    inputs.resize(was.inputs.size());
    g_.set_inputs(o.end, std::move(inputs));
    g_.erase_attribute(o.end, kCarried);
    for (Attribute a : was.attributes) {  // in the order that they had
      g_.erase_attribute(o.end, a.name);
      if (is_body(a)) a.value = bodies.at(a.name);
      g_.set_attribute(o.end, std::move(a));
    }
  }

  const OpenedBodies& opened_;
  Graph g_;
  std::map<NodeId, NodeId> made_for_;  // a chain's later links know the earlier ones
  std::unordered_map<NodeId, int> body_of_;
  std::unordered_map<ValueId, int> home_;
  std::unordered_map<ValueId, std::string> fresh_;
  std::set<std::string> taken_;
  std::map<NodeId, std::map<std::string, Body>> closed_;
};

}  // namespace

std::shared_ptr<const OpenedBodies> open_bodies(const Graph& graph, const FactTable& bound, const FactTable& symbolic) {
  const auto nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(), [&](NodeId id) { return has_bodies(graph.node(id)); })) return nullptr;
  return Opener(graph, bound, symbolic).run();
}

Graph close_bodies(const OpenedBodies& opened, const Graph& graph, const std::unordered_map<NodeId, NodeId>& made_for) {
  return Closer(opened, graph, made_for).run();
}

}  // namespace espalier
