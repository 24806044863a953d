#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Puts copies of the body, one an iteration, in the place of a Loop or Scan whose number of iterations is known.
///
///     two: int64[] = {2}
///     y = Loop(two, _, x) {body = graph (i: int64[], k: bool[], s: float[3]) -> (k, t) { t = Mul(s, w) }}
///     ->  t = Mul(x, w)
///         y = Mul(t, w)
///
/// Legal where inference knows how often the body runs, at least once and at most `most` times: a trip count and
/// a condition that follow from constants (also a counter that the body carries), or the size of a scanned axis (from Scan-9 on). The constants of the body are there once, so a
/// weight stays one weight. Gains: what depends on the iteration can be folded, and gradients pass, which stop at a Loop
/// (unroll, then finetune). Costs: the file grows by the body with every iteration.
extern const Pass unroll;

}  // namespace espalier::passes
