#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

enum class PoolKind { max, average, average_with_padding };

/// Pooling with 1 to 3 spatial axes in float.
struct PoolProblem {
  PoolKind kind = PoolKind::max;
  Dims src, dst;                              ///< [N, C, ...]
  Dims kernel, strides, pads_begin, pads_end;  ///< per spatial axis; pads_end already widened for ceil_mode
  bool training = false;                      ///< max: keeps where each maximum was
};

/// Arguments: src, dst, [workspace, for max in training]. The result has the source's layout.
Primitive pool_forward(const PoolProblem& problem, const Layout& src);
/// Arguments: diff_dst, diff_src, [workspace]. Both in `layout`, the forward's source layout under their own dims.
Primitive pool_backward(const PoolProblem& problem, const ForwardHint& forward, const Layout& src, const Layout& dst);

/// The gradient of an average over all positions. Arguments: diff_dst (layout.like of [N, C, 1 ...]), diff_src (`layout`,
/// which must have channels()).
std::unique_ptr<Kernel> global_average_backward(const Layout& layout);

}  // namespace espalier
