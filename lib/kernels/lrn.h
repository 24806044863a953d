#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

/// y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta; oneDNN takes odd sizes only.
struct LrnProblem {
  int64_t size;
  float alpha, beta, bias;
};

/// By oneDNN, of [N, C, spatial...]. Arguments: x, y, both in `layout`.
Primitive lrn(const LrnProblem& problem, const Layout& layout);

/// By our own loops, of a plain [batch, channels, plane] and any size. Arguments: x, y.
std::unique_ptr<Kernel> lrn_loop(const LrnProblem& problem, int64_t batch, int64_t channels, int64_t plane);
/// Arguments: x, dy, dx, scratch of as many floats.
std::unique_ptr<Kernel> lrn_backward(const LrnProblem& problem, int64_t batch, int64_t channels, int64_t plane);

}  // namespace espalier
