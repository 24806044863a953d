#pragma once

#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Sums of a plain float tensor along the axes marked in `reduced`, times `scale`. Arguments: x, y.
std::unique_ptr<Kernel> reduce_sum(const Dims& dims, const std::vector<bool>& reduced, float scale);

/// Sums over all positions of each channel of [N, C, spatial...], times `scale`. Arguments: x in `layout`, which must have
/// channels(), y in layout.like([N, C, 1 ...]).
std::unique_ptr<Kernel> reduce_positions(const Layout& layout, float scale);

}  // namespace espalier
