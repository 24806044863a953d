#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Turns Constant nodes into initialisers of the same name, in the graph and in bodies.
///
///     w = Constant {value = float[2] {1, 2}}     ->     w: float[2] = {1, 2}
///
/// All forms of the value but the sparse one are read. A constant that is a graph output keeps its node.
extern const Pass lift_constants;

}  // namespace espalier::passes
