#pragma once

#include "lib/analysis/infer.h"

namespace espalier {

/// Rewrites a node of a form that has no fast step into one that has, with the same result: Add, Sub, Mul, Div and Pow
/// before opset 7 (input 1 aligned by `axis`), Pow with integer exponents that are constant, Clip with bounds that are not,
/// GroupNormalization with a scale for each group. Of floats whose sizes are all known. Returns whether it did.
bool expand_form(Graph& graph, const FactTable& facts, NodeId id);

}  // namespace espalier
