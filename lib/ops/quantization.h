#pragma once

#include <optional>

#include "lib/ops/elementwise.h"
#include "lib/ops/narrow_types.h"

namespace espalier {

// What QuantizeLinear and DequantizeLinear share: which scale belongs to which element.
// Source: ONNX QuantizeLinear-25, DequantizeLinear-25.

/// x seen as [outer, length, inner] with the quantized axis in the middle. A scale serves `block` neighbours along that axis;
/// per tensor and per axis the scales do not depend on outer and inner.
struct Granularity {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t block = 1;
  bool blocked = false;

  /// Index of the scale of elements (o, d, 0 ...), and its step from one inner element to the next.
  int64_t scale_at(int64_t o, int64_t d) const { return blocked ? (o * ((length + block - 1) / block) + d / block) * inner : d; }
  int64_t step() const { return blocked ? 1 : 0; }
};

/// How a scale of shape `scale` is spread over x: per tensor (one element), per axis, or in blocks. Throws Error(bad_data)
/// naming the node where the shapes do not fit.
Granularity granularity(const Node& node, const Dims& x, const Dims& scale);

/// The axis that scales run along, non-negative; nothing where one scale serves the whole tensor.
std::optional<int> quantized_axis(const Node& node, int64_t rank, int64_t scales);

/// Types that QuantizeLinear makes: integers of 4, 8 and 16 bits and the narrow floats.
bool is_quantized(DataType type);

/// Smallest and largest number of an integer type that QuantizeLinear makes.
struct QuantizedRange {
  double low, high;
};
QuantizedRange quantized_range(DataType type);
/// Whether the type is one of those integers.
bool is_quantized_integer(DataType type);

/// Type that the attribute names, or undefined where it is absent or 0.
DataType type_attribute(const InferContext& c, std::string_view attribute);

/// Element type of QuantizeLinear's output: that of the zero point, the attribute output_dtype, or uint8.
DataType quantized_type(const Node& node, DataType zero_point);

/// Numbers rounded to the nearest, halves to even, that lie in the range of the type; NaN gives the smallest.
Tensor saturated(const Tensor& numbers, DataType type);

/// Calls body(first, n, scale, step): elements first .. first + n - 1 have scales scale, scale + step ...
template <class Body>
void for_each_run(const Granularity& g, Body&& body) {
  parallel_for(g.outer * g.length, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, g.inner)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row * g.inner, g.inner, g.scale_at(row / g.length, row % g.length), g.step());
  });
}

}  // namespace espalier
