#pragma once

#include "passes/pass.h"

namespace espalier {

// prune: whole units (channels) go, everywhere they run through, with the weights that make and read them.
//
//     before:  w: float[64,3,3,3], h = Conv(x, w), w2: float[10,64], y = Gemm(h, w2)
//     after:   w: float[40,3,3,3], h = Conv(x, w), w2: float[10,40], y = Gemm(h, w2)
//
// Legal for every unit that is not frozen (DESIGN.md section 7). Gains MACs and parameters; costs accuracy, which training
// brings back. The certificate is made on every run: the cut graph equals the original with the same units masked. A budget
// out of reach takes all that can go and is reported as missed. Where there are data the weights that read what went are
// then refitted by least squares (reconstruct.h), and what is left to auto is chosen on validation data (trial.h).
//
// A model that carries states from call to call (an LSTM's h and c as inputs and outputs) is frozen by them, unless the pairs are
// declared: state=h_in:h_out,c_in:c_out. Both ends then shrink with the units, and the report says what the interface became.
//
// An If whose condition is known is replaced by its branch first: what two branches disagree about would be frozen.
//
// Options: one budget (flops, params or ratio) or a plan; criterion, scope, align, keep, state, plan, plan-out,
// reconstruct.
namespace passes {
extern const Pass prune;
}

}  // namespace espalier
