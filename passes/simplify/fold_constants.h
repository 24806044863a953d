#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Replaces what can be calculated before the model runs by its value: nodes on constants, and shape arithmetic on known
/// sizes.
///
///     t = Transpose(w)               t: float[4,2] = {...}
///     y = MatMul(x, t)         ->    y = MatMul(x, t)
///
/// Legal for deterministic operators that we evaluate. Nothing that a DequantizeLinear makes is folded: it would give
/// the compact weight up. Costs file size where a result is larger than what it is made of; `growth` bounds that.
/// Bodies are entered; what they capture counts as unknown.
extern const Pass fold_constants;

}  // namespace espalier::passes
