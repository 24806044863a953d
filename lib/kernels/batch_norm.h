#pragma once

#include <optional>

#include "lib/kernels/kernel.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {

/// Batch normalisation over axis 1 of a float tensor in any layout that can be seen as Layout::Channels.
struct BatchNormProblem {
  Layout layout;                 ///< of x, y and their gradients
  float epsilon = 1e-5f;
  bool batch_statistics = false; ///< training form; otherwise the given mean and variance are used
  float momentum = 0.9f;         ///< running = momentum * running + (1 - momentum) * batch (ONNX's sense)
  bool residual = false;         ///< forward: added before the bounds
  std::optional<Bounds> bounds;  ///< an activation taken in: forward clamps; backward masks dy where y is not inside

  int64_t padded_channels() const;  ///< floats of every per-channel argument that this kernel owns
};

/// Arguments: x, scale, bias, mean, var [C each, plain], [residual], y, and in training: running mean out, running var
/// out [C], saved [2 * padded_channels: batch mean, 1 / sqrt(var + epsilon)], then scratch of batch_norm_scratch bytes.
/// ONNX BatchNormalization-15: the running variance uses the population variance.
std::unique_ptr<Kernel> batch_norm_forward(const BatchNormProblem& problem);
/// Arguments: x, scale, mean, var, dy, [y where bounds], [saved, with batch statistics], dx, dscale, dbias, scratch.
/// dx may be dy's memory.
std::unique_ptr<Kernel> batch_norm_backward(const BatchNormProblem& problem);
size_t batch_norm_scratch(const BatchNormProblem& problem);

}  // namespace espalier
