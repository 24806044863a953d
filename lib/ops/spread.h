#pragma once

#include <vector>

#include "lib/ops/lower.h"

namespace espalier {

// Fast steps that sum a float tensor along axes, and their gradients, which spread one again. Both keep a blocked layout
// where just the positions of each channel are concerned.

/// Output 0 is input `x` summed along `reduced`, times `scale`. False where the type is not float or a size is 0.
bool lower_sum(LowerContext& context, size_t x, const std::vector<bool>& reduced, float scale);
/// Output 0 has the shape of input `like` and is input `x`, seen as `dims` (sizes of `like` or 1), broadcast, times `scale`.
bool lower_spread(LowerContext& context, size_t like, size_t x, const Dims& dims, float scale);

}  // namespace espalier
