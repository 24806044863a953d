#pragma once

#include <vector>

#include "lib/kernels/element.h"
#include "lib/kernels/kernel.h"

namespace espalier {

/// A convolution with 1 to 3 spatial axes in float, as ONNX Conv describes it.
struct ConvProblem {
  Dims src, weights, dst;                      ///< [N, C, ...], [O, C / group, kernel...], [N, O, ...]
  Dims strides, dilations, pads_begin, pads_end;  ///< per spatial axis; dilations 1 for a dense kernel
  int64_t group = 1;
  bool bias = false;
  bool bias_last = false;                      ///< forward: the bias is added to the sum of products, not the sum begun with it
  bool residual = false;                       ///< forward: dst holds what is added before the activations
  std::vector<ElementOp> activations;          ///< forward: applied in order
  bool training = false;                       ///< forward: its hint serves backward primitives
};

/// Arguments: src, weights, [bias [O]], dst. `src` is where the input lies now: kept if the convolution is fast on it.
/// bias_last is a wish: with a residual, and where it would be slow, the bias comes first.
Primitive conv_forward(const ConvProblem& problem, const Layout& src);
/// The hint of a forward that no plan runs: backward primitives are used for a transposed convolution.
ForwardHint conv_hint(const ConvProblem& problem);
/// Arguments: diff_dst, weights, diff_src. `diff_dst` as it lies; `diff_src` as it is wanted, undefined where any will do.
Primitive conv_backward_data(const ConvProblem& problem, const ForwardHint& forward, const Layout& diff_dst,
                             const Layout& diff_src);
/// Arguments: src, diff_dst, diff_weights, [diff_bias]. `src` and `diff_dst` as they lie.
Primitive conv_backward_weights(const ConvProblem& problem, const ForwardHint& forward, const Layout& src,
                                const Layout& diff_dst);

}  // namespace espalier
