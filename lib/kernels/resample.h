#pragma once

#include <memory>
#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// What an axis becomes when it is resampled: position o of the result is the sum over k < taps of
/// weight[o * taps + k] * x[index[o * taps + k]].
struct AxisTaps {
  int64_t in = 0, out = 0, taps = 1;
  std::vector<int64_t> index;   ///< in [0, in)
  std::vector<double> weight;
  std::vector<bool> outside;    ///< by position: it gets a fixed value instead; empty: none does

  /// Every position is its own.
  bool identity() const;
};

/// A tensor of float seen as [planes][axes...][block], of which the axes are resampled one by one.
struct ResampleProblem {
  int64_t planes = 0, block = 1;
  std::vector<AxisTaps> axes;  ///< at least one
  float outside_value = 0;     ///< where any axis is outside

  int64_t in_size() const;   ///< of one plane, block included
  int64_t out_size() const;
};

/// Bytes of scratch that both kernels need.
size_t resample_scratch(const ResampleProblem& problem);

/// Arguments: x, y, scratch.
std::unique_ptr<Kernel> resample_forward(ResampleProblem problem);
/// The transposed map. Arguments: dy, dx, scratch.
std::unique_ptr<Kernel> resample_backward(ResampleProblem problem);

}  // namespace espalier
