#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

/// y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta; size is odd.
struct LrnProblem {
  int64_t size;
  float alpha, beta, bias;
};

/// Of [N, C, spatial...]. Arguments: x, y, both in `layout`.
Primitive lrn(const LrnProblem& problem, const Layout& layout);

}  // namespace espalier
