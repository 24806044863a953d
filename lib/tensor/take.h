#pragma once

#include <span>

#include "lib/tensor/tensor.h"

namespace espalier {

/// The positions `index` of an axis, in that order (numpy's take), for every type of whole bytes.
/// Throws Error(bad_data) for strings and sub-byte types, Error(internal) for an axis or index out of range.
Tensor take(const Tensor& tensor, int64_t axis, std::span<const int64_t> index);

/// A tensor of `dims` whose k-th run of `block` elements is run number blocks[k] of `tensor`. Errors as take().
Tensor take_blocks(const Tensor& tensor, Dims dims, int64_t block, std::span<const int64_t> blocks);

}  // namespace espalier
