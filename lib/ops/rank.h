#pragma once

#include <string>

#include "lib/ops/infer.h"

namespace espalier::ops {

/// Sizes of which nothing but their number is known. fail() for a number that no tensor's rank can be: it may come from the
/// declared length of a shape input.
inline SymbolicDims unknown_dims(const InferContext& c, int64_t rank) {
  if (rank < 0 || rank > static_cast<int64_t>(kMaxRank)) {
    c.fail("asks for a tensor of rank " + std::to_string(rank) + ", expected at most " + std::to_string(kMaxRank));
  }
  return SymbolicDims(static_cast<size_t>(rank));
}

}  // namespace espalier::ops
