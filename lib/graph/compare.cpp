#include <algorithm>

#include "lib/graph/graph.h"

namespace espalier {
namespace {

bool same_body(const Body& a, const Body& b) { return a == b || (a && b && same_graph(*a, *b)); }

bool same_value(const Attribute::Value& a, const Attribute::Value& b) {
  if (a.index() != b.index()) return false;
  if (const auto* body = std::get_if<Body>(&a)) return same_body(*body, std::get<Body>(b));
  if (const auto* bodies = std::get_if<std::vector<Body>>(&a)) {
    const auto& others = std::get<std::vector<Body>>(b);
    return std::equal(bodies->begin(), bodies->end(), others.begin(), others.end(), same_body);
  }
  return a == b;
}

bool same_node(const Graph& ga, const Node& a, const Graph& gb, const Node& b) {
  const auto same_ids = [&](const std::vector<ValueId>& x, const std::vector<ValueId>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [&](ValueId v, ValueId w) {
      return v == kNone || w == kNone ? v == w : ga.value(v).name == gb.value(w).name;
    });
  };
  if (a.op_type != b.op_type || a.domain != b.domain || a.name != b.name || !same_ids(a.inputs, b.inputs) ||
      !same_ids(a.outputs, b.outputs) || a.attributes.size() != b.attributes.size()) {
    return false;
  }
  return std::all_of(a.attributes.begin(), a.attributes.end(), [&](const Attribute& x) {
    const Attribute* y = b.find(x.name);
    return y && same_value(x.value, y->value);
  });
}

bool same_interface(const Graph& ga, const std::vector<ValueId>& a, const Graph& gb, const std::vector<ValueId>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](ValueId v, ValueId w) {
    return ga.value(v).name == gb.value(w).name && ga.value(v).type.same_as(gb.value(w).type);
  });
}

}  // namespace

bool same_graph(const Graph& a, const Graph& b) {
  if (a.opsets != b.opsets || a.nodes().size() != b.nodes().size() ||
      a.initializers().size() != b.initializers().size() || !same_interface(a, a.inputs, b, b.inputs) ||
      !same_interface(a, a.outputs, b, b.outputs)) {
    return false;
  }
  for (size_t i = 0; i < a.nodes().size(); ++i) {
    if (!same_node(a, a.node(a.nodes()[i]), b, b.node(b.nodes()[i]))) return false;
  }
  return std::all_of(a.initializers().begin(), a.initializers().end(), [&](const auto& entry) {
    const ValueId other = b.find_value(a.value(entry.first).name);
    const Tensor* tensor = other == kNone ? nullptr : b.initializer(other);
    return tensor && *tensor == entry.second.tensor;
  });
}

}  // namespace espalier
