#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// BatchNormalization goes into the Conv, ConvTranspose or Gemm before it.
///
///     h = Conv(x, w, b)
///     y = BatchNormalization(h, scale, B, mean, var)     ->     y = Conv(x, w', b')
///
///     w' = w * s,  b' = (b - mean) * s + B,  s = scale / sqrt(var + epsilon), per output channel, calculated in double
///
/// Legal where all operands are constants, the node does not train, and nothing else reads h. Gains a pass over
/// memory; costs the possibility to train the normalisation on. Source: ONNX BatchNormalization-15.
extern const Pass fuse_batch_norm;

}  // namespace espalier::passes
