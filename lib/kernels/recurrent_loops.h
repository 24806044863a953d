#pragma once

#include <cstdint>

namespace espalier {

/// The loops of recurrent steps on one batch row of n hidden units, and products too small for a library call. Gates
/// lie side by side in ONNX's order, activated: LSTM i, o, f, c; GRU z, r, h. Built once per instruction set.
struct RecurrentLoops {
  const char* name;

  /// cell = f before + i c
  void (*lstm_cell)(const float* gates, const float* before, float* cell, int64_t n);
  /// Of h = o squashed: the gradient of o, and `through` = dh o.
  void (*lstm_output_grad)(const float* gates, const float* squashed, const float* dh, float* dgates, float* through,
                           int64_t n);
  /// dcell += through; then the gradients of i, f and c, and dcell becomes that of the cell before.
  void (*lstm_cell_grad)(const float* gates, const float* before, const float* through, float* dcell, float* dgates,
                         int64_t n);
  /// h = (1 - z) g + z before, where g is the third gate
  void (*gru_state)(const float* gates, const float* before, float* h, int64_t n);
  /// The gradients of z and of the third gate; dh becomes what passes by.
  void (*gru_state_grad)(const float* gates, const float* before, float* dh, float* dgates, int64_t n);
  /// y = a b, y += a b, y += a; y may be a or b.
  void (*multiply)(const float* a, const float* b, float* y, int64_t n);
  void (*multiply_add)(const float* a, const float* b, float* y, int64_t n);
  void (*add)(const float* a, float* y, int64_t n);

  /// y[j] += sum over i < k of a[i] b[j ldb + i], for j < n.
  void (*dot_rows)(const float* a, const float* b, int64_t ldb, int64_t k, float* y, int64_t n);
  /// y[j] += sum over i < k of a[i] b[i ldb + j], for j < n.
  void (*add_rows)(const float* a, const float* b, int64_t ldb, int64_t k, float* y, int64_t n);
  /// y[row ldy + j] += sum over i < k of a[row lda + i] b[i ldb + j], for row < rows, j < n: several rows at once read b once.
  void (*add_products)(const float* a, int64_t lda, const float* b, int64_t ldb, int64_t k, float* y, int64_t ldy, int64_t rows, int64_t n);
  /// sums[j] += sum over rows of x[row stride + j], for j < n.
  void (*column_sums)(const float* x, int64_t rows, int64_t stride, double* sums, int64_t n);
};

/// The best loops for this machine.
const RecurrentLoops& recurrent_loops();

extern const RecurrentLoops kRecurrentLoopsBaseline, kRecurrentLoopsAvx2, kRecurrentLoopsAvx512;

}  // namespace espalier
