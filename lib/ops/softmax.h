#pragma once

#include "lib/kernels/softmax.h"
#include "lib/tensor/shape.h"

namespace espalier {

/// Softmax over `axis` of a tensor of rank 1 and more, or with `flatten` over all axes from it on as one.
SoftmaxProblem softmax_problem(const Dims& dims, int64_t axis, bool flatten, bool logarithm);

}  // namespace espalier
