#pragma once

#include <array>
#include <vector>

#include "lib/ops/evaluate.h"

namespace espalier {

/// RoiAlign on known inputs: what each bin reads of a plane, whatever the channel. Source: He et al. 2017 (Mask R-CNN),
/// ONNX RoiAlign-16.
class RoiAligner {
 public:
  /// Four elements around a sampling point; weights of a point outside are 0.
  struct Point {
    std::array<int64_t, 4> offset{};
    std::array<double, 4> weight{};
  };

  /// x_dims: [N, C, H, W]; rois: [R, 4]; images: [R], each in [0, N). Throws Error(bad_data) through the context for an
  /// image out of range, a region that is not finite and one that takes too many samples.
  RoiAligner(const EvaluateContext& c, const Dims& x_dims, const Tensor& rois, const Tensor& images);

  int64_t regions() const { return static_cast<int64_t>(images_.size()); }
  int64_t image(int64_t region) const { return images_[static_cast<size_t>(region)]; }
  int64_t bins() const { return height_ * width_; }
  bool takes_max() const { return max_; }
  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  /// Points of a region, bin by bin; each bin has the same number, which may be 0.
  std::vector<Point> points(int64_t region) const;

 private:
  std::vector<double> rois_;
  std::vector<int64_t> images_;
  int64_t in_height_, in_width_, height_, width_, sampling_ratio_;
  double scale_, offset_;
  bool max_;
};

}  // namespace espalier
