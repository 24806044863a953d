#pragma once

#include <cstdint>

#include "lib/graph/graph.h"

namespace espalier {

/// Whether the graph, its bodies included, has a node that draws numbers and knows neither a seed of its own nor one of a run.
bool needs_run_seed(const Graph& graph);

/// Gives those nodes `seed` and a stream each, told by the name of what they make (and of what the nodes make whose bodies they
/// are in): the same seed gives the same numbers, in `evaluate` and in a plan, and passes that keep names keep the numbers.
/// Every run of a plan draws the same ones; an iteration of a Loop too. For graphs that are run; never exported.
void set_run_seed(Graph& graph, uint64_t seed);

}  // namespace espalier
