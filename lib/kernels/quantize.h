#pragma once

#include <optional>
#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Scales along one axis of a tensor seen as [outer, length, inner], or one scale for all of it (length 1).
struct QuantizeRows {
  int64_t outer = 1, length = 1, inner = 1;
  std::vector<float> scales;        ///< `length`
  std::vector<int32_t> zero_points; ///< `length`
};

/// q = round(x / scale) + zero_point, halves to even, at the ends of the range of `type` where it is beyond; NaN gives the
/// smallest. type: uint8, int8, uint16 or int16. Arguments: x (float), q, both in the same order of elements.
std::unique_ptr<Kernel> quantize(DataType type, QuantizeRows rows);

/// x = (q - zero_point) * scale. Arguments: q of one of these types, x (float).
std::unique_ptr<Kernel> dequantize(DataType type, QuantizeRows rows);

/// The same form of memory for elements of another type; nothing where there is none.
std::optional<Layout> retyped(const Layout& layout, DataType type);

}  // namespace espalier
