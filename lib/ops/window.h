#pragma once

#include <optional>
#include <vector>

#include "lib/graph/dim.h"
#include "lib/graph/node.h"

namespace espalier {

/// A window that slides over the spatial axes: geometry of Conv, ConvTranspose, the pools and their gradients.
/// Padding is `pads_begin` and `pads_end`; with auto_pad `same_*` it depends on the input and is set by resolve().
struct Window {
  enum class AutoPad { notset, valid, same_upper, same_lower };

  Dims kernel, strides, dilations, pads_begin, pads_end;
  AutoPad auto_pad = AutoPad::notset;
  bool ceil_mode = false;

  size_t spatial_rank() const { return kernel.size(); }
  bool same() const { return auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower; }
  /// Input elements from the first to the last that one window covers along axis i.
  int64_t extent(size_t i) const;
};

/// Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of a node over `spatial_rank` axes. `kernel` is
/// what the weight says; kernel_shape, where present, must agree, and must be there where `kernel` is absent.
/// Throws Error(bad_data) for a wrong length, a size below 1 or a negative pad.
Window read_window(const Node& node, size_t spatial_rank, const std::optional<Dims>& kernel = std::nullopt);

/// Output size along axis i for an input of size `in`, unknown where neither formula decides.
/// Source: ONNX Conv-22, MaxPool-22: floor((in + pads - extent) / stride) + 1, or ceil with ceil_mode, where a last
/// window that would start in the end padding is dropped; ceil(in / stride) for `same_*`.
Dim output_size(const Window& window, size_t i, const Dim& in);

/// The same window with pads for inputs of these spatial sizes.
Window resolve(Window window, const Dims& in);

/// What one tap of the kernel reads: runs of output positions, each with the input position under the tap. Positions
/// whose input lies in the padding are left out.
struct TapRuns {
  struct Run {
    int64_t out, in;  ///< offsets in the output and the input plane
    int64_t length;   ///< outputs out, out+1 ...; inputs in, in+step ...
  };
  std::vector<Run> runs;
  int64_t step = 1;
};

/// All taps in row-major order of the kernel, for a resolved window, an input plane `in` and an output plane `out`.
std::vector<TapRuns> tap_runs(const Window& window, const Dims& in, const Dims& out);

}  // namespace espalier
