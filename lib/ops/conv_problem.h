#pragma once

#include "lib/kernels/conv.h"
#include "lib/ops/lower.h"

namespace espalier {

/// The convolution of a Conv node, or of the forward node of its gradients, which carry the same attributes.
ConvProblem conv_problem(const Node& node, const Dims& x, const Dims& w, const Dims& y);

/// Whether the fast path takes it: float, one to three spatial axes, nothing empty.
bool is_fast_conv(DataType type, const Dims& x, const Dims& w, const Dims& y);

/// Where a value lies if its layout has the value's own dims, plain otherwise.
Layout own_layout(const LowerContext& context, size_t input);

}  // namespace espalier
