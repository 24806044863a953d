#include <set>

#include "lib/base/error.h"
#include "lib/graph/graph.h"

namespace espalier {
namespace {

constexpr int kMaxDepth = 32;

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

std::vector<bool> available_at_start(const Graph& graph) {
  std::vector<bool> ready(graph.value_count(), false);
  for (const ValueId v : graph.inputs) {
    if (ready[v]) fail("graph input '" + graph.value(v).name + "' is listed twice");
    ready[v] = true;
  }
  for (const auto& [v, unused] : graph.initializers()) ready[v] = true;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const Value& value = graph.value(static_cast<ValueId>(v));
    if (value.captured || value.carried) ready[v] = true;
  }
  return ready;
}

void verify_bodies(const Node& node, int depth) {
  for (const Attribute& a : node.attributes) {
    if (const auto* body = std::get_if<Body>(&a.value)) verify(**body, depth + 1);
    if (const auto* bodies = std::get_if<std::vector<Body>>(&a.value)) {
      for (const Body& b : *bodies) verify(*b, depth + 1);
    }
  }
}

}  // namespace

void verify(const Graph& graph, int depth) {
  if (depth > kMaxDepth) fail("graph '" + graph.name + "' is nested too deep, expected at most 32 levels");
  std::vector<bool> ready = available_at_start(graph);
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    for (const ValueId v : node.inputs) {
      if (v != kNone && !ready[v]) fail(node.where() + ": input '" + graph.value(v).name + "' is used before it is made");
    }
    verify_bodies(node, depth);
    for (const ValueId v : node.outputs) {
      if (v == kNone) continue;
      if (ready[v]) fail(node.where() + ": output '" + graph.value(v).name + "' is made a second time");
      ready[v] = true;
    }
  }
  for (const ValueId v : graph.outputs) {
    if (!ready[v]) fail("graph output '" + graph.value(v).name + "' is made by no node");
  }
}

}  // namespace espalier
