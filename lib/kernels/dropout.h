#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

/// Element i (row-major) is kept and divided by 1 - ratio where the 24-bit uniform of word i mod 4 of Random(seed, dropout,
/// node) at index (step << 32 | i / 4) is at least `ratio`; else it is zero.
struct DropoutProblem {
  float ratio;
  uint64_t seed;
  uint32_t node;
};

/// Arguments: x, step (one int64), y (may be the memory of x). x and y in `layout`, plain or one that has channels().
std::unique_ptr<Kernel> dropout(const DropoutProblem& problem, const Layout& layout);

}  // namespace espalier
