#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Makes equal nodes on the same inputs one (common subexpressions), in the graph and in bodies.
///
///     a = Shape(x)
///     b = Shape(x)          ->     a = Shape(x)
///     y = Concat(a, b)             y = Concat(a, a)
///
/// Legal for deterministic operators that we know, without bodies. Equal integer constants become one; float constants do
/// not, for training must not tie weights that only begin alike. A node whose name must stay (a graph output) stays.
extern const Pass merge_duplicates;

}  // namespace espalier::passes
