#pragma once

#include <cstdint>

namespace espalier {

/// One row of a convolution with a kernel a channel: position o of the result meets position o * stride - pad + k * dilation
/// of the source in tap k. Neighbours along the row are `block` floats apart, with one channel each.
struct DepthwiseRow {
  int64_t in = 0, out = 0, kernel = 0;
  int64_t stride = 1, dilation = 1, pad = 0;  ///< a dilation below 0 turns the kernel round
  int64_t block = 16;
  int64_t tap = 16;  ///< floats from one tap of the weights to the next, at least `block`
};

/// The hot loops of convolutions with a kernel a channel, built once per instruction set. All lanes are channels.
struct DepthwiseLoops {
  /// y[o] += sum over k of w[k] x[o * stride - pad + k * dilation].
  void (*correlate)(const float* x, const float* w, float* y, const DepthwiseRow& row);
  /// The transposed map: dx[o * stride - pad + k * dilation] += w[k] dy[o].
  void (*spread)(const float* dy, const float* w, float* dx, const DepthwiseRow& row);
  /// dw[k] += sum over o of dy[o] x[o * stride - pad + k * dilation].
  void (*products)(const float* x, const float* dy, double* dw, const DepthwiseRow& row);
};

/// The best loops for this machine.
const DepthwiseLoops& depthwise_loops();

extern const DepthwiseLoops kDepthwiseBaseline, kDepthwiseAvx2, kDepthwiseAvx512;

}  // namespace espalier
