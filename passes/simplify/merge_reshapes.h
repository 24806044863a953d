#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Makes chains of Reshape, Flatten, Squeeze and Unsqueeze one Reshape, chains of Transpose one Transpose, and gives a
/// Reshape whose sizes are known but for one a constant shape, so that the nodes that computed it become dead.
///
///     s = Squeeze(x) {axes = [2,3]}           shape: int64[2] = {0, 64}
///     y = Flatten(s)                   ->     y = Reshape(x, shape)
///
/// A first axis that stays is written 0 (copied), one open size -1. Legal from opset 5, where no size is 0. In a chain the
/// first node stays if something else reads it.
extern const Pass merge_reshapes;

}  // namespace espalier::passes
