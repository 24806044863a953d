#include "lib/analysis/run_seed.h"

#include <algorithm>
#include <vector>

#include "lib/ops/random_stream.h"

namespace espalier {
namespace {

bool is_open(const Node& node) { return draws_numbers(node) && !node.has("seed") && !node.has(kRunSeed); }

bool has_open_body(const Attribute& attribute) {
  const auto* body = std::get_if<Body>(&attribute.value);
  return body && needs_run_seed(**body);
}

/// outer: the stream of the node whose body the graph is.
void seed_nodes(Graph& graph, uint64_t seed, uint32_t outer) {
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const Node node = graph.node(id);
    const auto made = std::find_if(node.outputs.begin(), node.outputs.end(), [](ValueId v) { return v != kNone; });
    const uint32_t stream = stream_of(made == node.outputs.end() ? node.name : graph.value(*made).name, outer);
    if (is_open(node)) {
      graph.set_attribute(id, std::string(kRunSeed), static_cast<int64_t>(seed));
      graph.set_attribute(id, std::string(kRunStream), static_cast<int64_t>(stream));
    }
    for (const Attribute& attribute : node.attributes) {
      if (!has_open_body(attribute)) continue;
      Graph body = *std::get<Body>(attribute.value);
      seed_nodes(body, seed, stream_of(attribute.name, stream));
      graph.set_attribute(id, attribute.name, std::make_shared<const Graph>(std::move(body)));
    }
  }
}

}  // namespace

bool needs_run_seed(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](NodeId id) {
    const Node& node = graph.node(id);
    return is_open(node) || std::any_of(node.attributes.begin(), node.attributes.end(), has_open_body);
  });
}

void set_run_seed(Graph& graph, uint64_t seed) {
  if (needs_run_seed(graph)) seed_nodes(graph, seed, kOutermost);
}

}  // namespace espalier
