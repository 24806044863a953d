#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/tensor/tensor.h"

namespace espalier::ops {

// Moving elements of any type (strings included, 4-bit types not) in `evaluate`: plain and slow.

/// For every axis of the result, the index into the same axis of the source.
using AxisIndices = std::vector<std::vector<int64_t>>;

/// Every index of every axis: take(t, all_indices(t.dims())) is t.
AxisIndices all_indices(const Dims& dims);

/// out[i0,i1,...] = in[at[0][i0], at[1][i1], ...]; where one of the indices is below 0, the one element of `fill`, or zero
/// if there is none. Indices are below the sizes of `in`. Throws Error(bad_data) for 4-bit types.
Tensor take(const Tensor& in, const AxisIndices& at, const Tensor* fill = nullptr);

/// out axis i is in axis perm[i].
Tensor permuted(const Tensor& in, const std::vector<int64_t>& perm);

/// Copies `count` elements of the same type from one place to another.
void copy_elements(const Tensor& from, int64_t from_at, Tensor& to, int64_t to_at, int64_t count);

}  // namespace espalier::ops
