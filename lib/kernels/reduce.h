#pragma once

#include <vector>

#include "lib/kernels/kernel.h"
#include "lib/kernels/row_loops.h"

namespace espalier {

/// Sums of a plain float tensor along the axes marked in `reduced`, times `scale`. Arguments: x, y.
std::unique_ptr<Kernel> reduce_sum(const Dims& dims, const std::vector<bool>& reduced, float scale);

/// What is done with each result of a reduction.
enum class ReduceFinish : uint8_t { scale, square_root, logarithm };

/// The elements of a plain float tensor along the axes marked in `reduced`, added up or chosen as `kind` says (exp_sum: of
/// exp(x - max), whose logarithm plus max is the result), then finished; scale multiplies. Arguments: x, y.
std::unique_ptr<Kernel> reduce(ReduceKind kind, ReduceFinish finish, const Dims& dims, const std::vector<bool>& reduced, float scale = 1);

/// Sums over all positions of each channel of [N, C, spatial...], times `scale`. Arguments: x in `layout`, which must have
/// channels(), y in layout.like([N, C, 1 ...]).
std::unique_ptr<Kernel> reduce_positions(const Layout& layout, float scale);

}  // namespace espalier
