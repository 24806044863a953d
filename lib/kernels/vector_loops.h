#pragma once

#include <cstdint>

#include "lib/kernels/element.h"

namespace espalier {

/// An activation between two bounds, as batch normalisation takes it in: y = min(max(z, low), high).
struct Bounds {
  float low, high;
};

/// One row of a tensor seen as Layout::Channels: `inner` positions of `block` channels each.
struct Row {
  int64_t inner, block;
};

/// Integer types of quantized tensors.
enum class QuantizedAs : uint8_t { u8, s8, u16, s16 };

/// The hot loops, built once per instruction set. All pointers to channel data point at the row's first channel.
struct VectorLoops {
  const char* name;

  /// registers[step.target][i] = op(registers[a][i], registers[b][i]) for i < n, step after step.
  void (*element_steps)(const ElementStep* steps, int count, float* const* registers, int64_t n);

  /// sum[c] += x - pivot[c], squares[c] += (x - pivot[c])^2.
  void (*row_moments)(const float* x, Row row, const float* pivot, double* sum, double* squares);
  /// y = clamp(x a[c] + b[c] (+ residual)); residual may be null.
  void (*row_affine)(const float* x, const float* residual, float* y, Row row, const float* a, const float* b,
                     const Bounds* bounds);
  /// g = dy where y is inside the bounds (y null: everywhere): sum[c] += g, dot[c] += g (x - mean[c]).
  void (*row_gradient_sums)(const float* x, const float* dy, const float* y, Row row, const float* mean,
                            const Bounds* bounds, double* sum, double* dot);
  /// dx = a[c] g + b[c] x + c0[c], g as above.
  void (*row_gradient)(const float* x, const float* dy, const float* y, float* dx, Row row, const float* a,
                       const float* b, const float* c0, const Bounds* bounds);

  /// q = round(x / scale) + zero_point within the range of the type, halves to even; NaN gives the smallest.
  void (*quantize)(const float* x, void* q, QuantizedAs type, int64_t n, float scale, int32_t zero_point);
  /// x = (q - zero_point) * scale.
  void (*dequantize)(const void* q, float* x, QuantizedAs type, int64_t n, float scale, int32_t zero_point);
};

/// The best loops for this machine.
const VectorLoops& vector_loops();

extern const VectorLoops kLoopsBaseline, kLoopsAvx2, kLoopsAvx512;

}  // namespace espalier
