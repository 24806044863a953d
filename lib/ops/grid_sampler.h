#pragma once

#include <string>
#include <vector>

#include "lib/graph/node.h"

namespace espalier {

/// What one coordinate reads along one axis.
struct SamplePoint {
  int count = 0;
  int64_t index[4];   ///< in [0, size); those outside of zeros are left out
  double weight[4];
  double slope[4];    ///< derivative of the weight by the normalised coordinate
};

/// Interpolation at normalised coordinates: -1 and 1 are the ends of an axis. Source: ONNX GridSample-20.
struct GridSampler {
  enum class Mode { nearest, linear, cubic };
  enum class Padding { zeros, border, reflection };

  Mode mode = Mode::linear;
  Padding padding = Padding::zeros;
  bool align_corners = false;

  GridSampler() = default;
  /// Reads mode, padding_mode and align_corners. Throws Error(bad_data) for words that GridSample does not know.
  explicit GridSampler(const Node& node);

  /// What coordinate n reads of an axis of `size` elements.
  SamplePoint at(double n, int64_t size) const;
  /// The same for a position in elements; slopes are by the position times `slope_scale`.
  SamplePoint at_position(double x, int64_t size, double slope_scale) const;
};

/// One element that a point in space reads.
struct SampleTap {
  int64_t offset;
  double weight;
};

/// All products of the points of each axis; `slopes`, where wanted, holds for each tap the derivative by each axis in turn.
void combine(const std::vector<SamplePoint>& points, const std::vector<int64_t>& sizes, std::vector<SampleTap>& taps,
             std::vector<double>* slopes = nullptr);

}  // namespace espalier
