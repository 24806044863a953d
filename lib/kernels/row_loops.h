#pragma once

#include <cstdint>

namespace espalier {

/// What a reduction adds up, or chooses.
enum class ReduceKind : uint8_t { sum, sum_square, abs_sum, max, min, product, exp_sum };

/// The hot loops of reductions, softmax and normalisations, built once per instruction set.
struct RowLoops {
  const char* name;

  /// `start` folded with x[0] ... x[n-1]; for exp_sum with exp(x[i] - pivot).
  double (*reduce_run)(ReduceKind kind, const float* x, int64_t n, double start, float pivot);
  /// folded[l] with x[l], for l < n; pivot (exp_sum only) by lane.
  void (*reduce_lanes)(ReduceKind kind, const float* x, int64_t n, double* folded, const float* pivot);

  /// Softmax, or its logarithm, of n neighbours.
  void (*softmax_run)(const float* x, float* y, int64_t n, bool logarithm);
  /// The same for `lanes` (at most kLaneTile) sets side by side, whose elements are `step` apart.
  void (*softmax_lanes)(const float* x, float* y, int64_t n, int64_t step, int64_t lanes, bool logarithm);
  /// dx = y (dy - sum(y dy)), or for the logarithm dy - exp(y) sum(dy).
  void (*softmax_grad_run)(const float* y, const float* dy, float* dx, int64_t n, bool logarithm);
  void (*softmax_grad_lanes)(const float* y, const float* dy, float* dx, int64_t n, int64_t step, int64_t lanes, bool logarithm);

  /// The sum of (x[i] - pivot)^power, power 1 or 2.
  double (*moment)(const float* x, int64_t n, float pivot, int power);
  /// y = (x - mean) inverse (scale) (+ bias), by element; scale and bias may be null.
  void (*normalize)(const float* x, float* y, int64_t n, float mean, float inverse, const float* scale, const float* bias);
  /// y = a (x - mean) + b.
  void (*affine)(const float* x, float* y, int64_t n, float mean, float a, float b);
  /// sum of dy (scale) and of dy (scale) (x - mean), by element; scale may be null.
  void (*gradient_sums)(const float* x, const float* dy, const float* scale, int64_t n, float mean, double* sum, double* dot);
  /// dx = a dy (scale) + b (x - mean) + c; scale may be null.
  void (*gradient)(const float* x, const float* dy, const float* scale, float* dx, int64_t n, float mean, float a, float b, float c);
  /// dscale[i] += dy[i] (x[i] - mean) inverse, dbias[i] += dy[i]; either may be null.
  void (*parameter_gradient)(const float* x, const float* dy, int64_t n, float mean, float inverse, float* dscale, float* dbias);
};

inline constexpr int64_t kLaneTile = 64;

/// The best loops for this machine.
const RowLoops& row_loops();

extern const RowLoops kRowsBaseline, kRowsAvx2, kRowsAvx512;

}  // namespace espalier
