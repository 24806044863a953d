#pragma once

#include <memory>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Sets of `count` elements of a plain float tensor [outer, count, inner], normalised along the middle axis.
struct SoftmaxProblem {
  int64_t outer, count, inner;
  bool logarithm = false;
};

/// Softmax or its logarithm. Arguments: x, y, which may be the same memory.
std::unique_ptr<Kernel> softmax(const SoftmaxProblem& problem);
/// Its gradient, from the result. Arguments: y, dy, dx, which may be the memory of either.
std::unique_ptr<Kernel> softmax_backward(const SoftmaxProblem& problem);

}  // namespace espalier
