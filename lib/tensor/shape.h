#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/tensor/data_type.h"

namespace espalier {

/// Concrete sizes of a tensor's axes, outermost first; empty for a scalar.
using Dims = std::vector<int64_t>;

/// Axes that any tensor may have.
inline constexpr size_t kMaxRank = 64;

/// Product of the sizes (1 for a scalar). Throws Error(bad_data) for a negative size, a rank above kMaxRank or a
/// product beyond int64.
int64_t element_count(const Dims& dims);

/// Bytes that `dims` of `type` take, 4-bit types packed. Throws Error(bad_data) as element_count does.
int64_t byte_count(DataType type, const Dims& dims);

/// Row-major strides in elements.
Dims row_major_strides(const Dims& dims);

/// a + b and a * b; throw Error(bad_data) on overflow, naming `what`.
int64_t checked_add(int64_t a, int64_t b, const char* what = "size");
int64_t checked_mul(int64_t a, int64_t b, const char* what = "size");

/// "[2,3,4]".
std::string to_string(const Dims& dims);

/// Axis in [0, rank) for an axis that may be negative. Throws Error(bad_data) out of [-rank, rank).
int64_t normalize_axis(int64_t axis, int64_t rank);

/// Multidirectional (numpy) broadcasting of two shapes. Throws Error(bad_data) where they do not match.
Dims broadcast(const Dims& a, const Dims& b);

}  // namespace espalier
