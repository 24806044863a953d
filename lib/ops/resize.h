#pragma once

#include <optional>
#include <vector>

#include "lib/graph/node.h"
#include "lib/kernels/resample.h"

namespace espalier {

/// Operands of Resize that say where to sample; nullptr where absent.
struct ResizeOperands {
  const Tensor *roi = nullptr, *scales = nullptr, *sizes = nullptr;
};

/// How a node resizes: attributes of Resize in the newest form. Resize-10 and Upsample are the same with other defaults.
struct ResizeForm {
  enum class Mode { nearest, linear, cubic };
  Mode mode = Mode::nearest;
  std::string coordinates = "half_pixel", nearest = "round_prefer_floor", policy = "stretch";
  double cubic_a = -0.75, extrapolation = 0;
  bool exclude_outside = false, antialias = false;
  std::optional<std::vector<int64_t>> axes;

  /// Throws Error(bad_data) for words that Resize does not know.
  explicit ResizeForm(const Node& node);
  /// The same as attributes of Resize, for the gradient.
  std::vector<Attribute> attributes() const;
};

/// The axes that scales, sizes and roi count, all of them by default. Throws Error(bad_data) for repeats or out of range.
std::vector<int64_t> resize_axes(const ResizeForm& form, const Node& node, int64_t rank);

/// Sizes after resizing x of these sizes. Source: ONNX Resize-19: floor(size * scale), or `sizes` under the policy.
/// Throws Error(bad_data) for a wrong number of scales or sizes, and values that are not positive.
Dims resized_dims(const ResizeForm& form, const Node& node, const Dims& x, const ResizeOperands& operands);

/// What each axis of x reads. Source: ONNX Resize-19 and its reference implementation; where in * scale is a whole number the
/// ratio of the sizes is used, so that ties fall as the mathematics says.
std::vector<AxisTaps> resize_taps(const ResizeForm& form, const Node& node, const Dims& x, const ResizeOperands& operands);

}  // namespace espalier
