#pragma once

#include "passes/pass.h"
#include "passes/resources.h"

namespace espalier {

/// Compares the outputs of two graphs with the same interface on resources.check_inputs, or on generated inputs.
/// `exact`: same bits; `equal`: within `tolerance` of the output's scale (1e-4 for float, 1e-9 for double, exact for
/// integers, strings and bool). Opaque nodes cut the comparison: what goes into them is compared, what comes out is fed
/// alike to both sides; where even that cannot be, the state is `unverified` and says why.
/// Throws Error(verification) naming the output, the error and where it is largest.
Verification verify_outputs(const Graph& before, const Graph& after, Contract contract, const Resources& resources);

}  // namespace espalier
