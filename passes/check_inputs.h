#pragma once

#include <map>
#include <string>
#include <vector>

#include "passes/resources.h"

namespace espalier {

/// Sizes for the graph's inputs where the file leaves them open: `resources.symbols` first, then guesses (2 for the first
/// axis; 32, 64, 16, 224, 1 for the others) until shape inference succeeds. Initialised inputs are left out.
/// Throws Error(bad_data) with the reason of the last guess where none fits, or an input has no element type or rank.
std::map<std::string, Dims> choose_input_dims(const Graph& graph, const Resources& resources);

/// Random inputs of these sizes: floats are normal, integers lie in the range of what they index (an axis of a Gather's
/// data; 0 and 1 where nothing is indexed), bools are coins. `run` makes several sets of one seed differ.
/// Throws Error(bad_data) for strings, sequences and the like.
Feeds generate_inputs(const Graph& graph, const std::map<std::string, Dims>& dims, uint64_t seed, uint32_t run);

/// All initialised inputs apart, the names that must be fed.
std::vector<ValueId> fed_inputs(const Graph& graph);

}  // namespace espalier
