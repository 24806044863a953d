#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Mul, Div, Add and Sub with a constant per channel go into the Conv, ConvTranspose or Gemm before them.
///
///     h = Conv(x, w)
///     m = Mul(h, scale)        ->     y = Conv(x, w', b')
///     y = Add(m, shift)
///
/// Legal where the constant has one element, or one a channel and none along other axes, does not widen h, and nothing else
/// reads h. Gains a pass over memory.
extern const Pass fuse_affine;

}  // namespace espalier::passes
