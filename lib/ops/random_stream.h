#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/random.h"
#include "lib/graph/graph.h"

namespace espalier {

/// What a run gives to each node that draws numbers and has no `seed` of its own (set_run_seed, lib/analysis/run_seed.h): the
/// run's seed and a stream that no other node has. Attributes of graphs that are run; never exported.
inline constexpr std::string_view kRunSeed = "run_seed", kRunStream = "run_stream";

/// A stream told by a name (FNV-1a), within an outer one.
inline constexpr uint32_t kOutermost = 2166136261u;
uint32_t stream_of(const std::string& name, uint32_t outer = kOutermost);

/// The numbers of a node: those of its attribute `seed`, else those of the run, else (a node that is evaluated by itself) a
/// stream told by its name.
Random random_of(const Node& node, RandomUse use);

/// Whether the node draws numbers: an operator whose results are no function of its inputs alone.
bool draws_numbers(const Node& node);

}  // namespace espalier
