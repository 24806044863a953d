// RoiAlign and its gradient by the features.

#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/image_units.h"
#include "lib/ops/roi.h"

namespace espalier {
namespace {

constexpr double kMostPoints = 1 << 24;

/// The four neighbours of (y, x), which lies at most one element outside; nothing further out.
RoiAligner::Point around(double y, double x, int64_t height, int64_t width) {
  RoiAligner::Point point;
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  if (!(y >= -1 && y <= h && x >= -1 && x <= w)) return point;
  y = std::max(y, 0.0), x = std::max(x, 0.0);
  auto y0 = static_cast<int64_t>(y), x0 = static_cast<int64_t>(x);
  int64_t y1 = y0 + 1, x1 = x0 + 1;
  if (y0 >= height - 1) y0 = y1 = height - 1, y = static_cast<double>(y0);
  if (x0 >= width - 1) x0 = x1 = width - 1, x = static_cast<double>(x0);
  const double dy = y - static_cast<double>(y0), dx = x - static_cast<double>(x0);
  point.offset = {y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1};
  point.weight = {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx};
  return point;
}

}  // namespace

RoiAligner::RoiAligner(const EvaluateContext& c, const Dims& x_dims, const Tensor& rois, const Tensor& images)
    : rois_(rois.to_doubles()), images_(images.to_int64s()), in_height_(x_dims[2]), in_width_(x_dims[3]) {
  height_ = c.node().get<int64_t>("output_height", 1);
  width_ = c.node().get<int64_t>("output_width", 1);
  sampling_ratio_ = c.node().get<int64_t>("sampling_ratio", 0);
  scale_ = static_cast<double>(c.node().get<float>("spatial_scale", 1.0f));
  max_ = c.node().get<std::string>("mode", "avg") == "max";
  const std::string older = c.node().domain.empty() && c.version() < 16 ? "output_half_pixel" : "half_pixel";
  offset_ = c.node().get<std::string>("coordinate_transformation_mode", older) == "half_pixel" ? 0.5 : 0.0;
  if (rois.dims()[0] != images.dims()[0]) c.fail("there are " + std::to_string(rois.dims()[0]) + " regions, but " + std::to_string(images.dims()[0]) + " batch indices");
  for (const int64_t image : images_) {
    if (image < 0 || image >= x_dims[0]) c.fail("batch index " + std::to_string(image) + " is out of range for " + std::to_string(x_dims[0]) + " images");
  }
  if (!std::isfinite(scale_)) c.fail("spatial_scale is not finite");
  for (const double v : rois_) {
    if (!std::isfinite(v)) c.fail("a region is not finite");
  }
  for (int64_t r = 0; r < regions(); ++r) {
    const double* roi = rois_.data() + r * 4;
    const double h = std::max(1.0, std::abs(roi[3] - roi[1]) * std::abs(scale_)), w = std::max(1.0, std::abs(roi[2] - roi[0]) * std::abs(scale_));
    const double count = sampling_ratio_ > 0 ? static_cast<double>(bins()) * static_cast<double>(sampling_ratio_) * static_cast<double>(sampling_ratio_)
                                             : (h + static_cast<double>(height_)) * (w + static_cast<double>(width_));
    if (!(count < kMostPoints)) c.fail("region " + std::to_string(r) + " takes too many samples");
  }
}

std::vector<RoiAligner::Point> RoiAligner::points(int64_t region) const {
  const double* roi = rois_.data() + region * 4;
  const double x0 = roi[0] * scale_ - offset_, y0 = roi[1] * scale_ - offset_;
  double w = roi[2] * scale_ - offset_ - x0, h = roi[3] * scale_ - offset_ - y0;
  if (offset_ == 0) w = std::max(w, 1.0), h = std::max(h, 1.0);
  const double bin_h = h / static_cast<double>(height_), bin_w = w / static_cast<double>(width_);
  const int64_t rows = sampling_ratio_ > 0 ? sampling_ratio_ : static_cast<int64_t>(std::ceil(bin_h));
  const int64_t columns = sampling_ratio_ > 0 ? sampling_ratio_ : static_cast<int64_t>(std::ceil(bin_w));
  std::vector<Point> result;
  for (int64_t bin = 0; bin < bins(); ++bin) {
    const double top = y0 + static_cast<double>(bin / width_) * bin_h, left = x0 + static_cast<double>(bin % width_) * bin_w;
    for (int64_t i = 0; i < rows; ++i) {
      const double y = top + (static_cast<double>(i) + 0.5) * bin_h / static_cast<double>(rows);
      for (int64_t j = 0; j < columns; ++j) {
        result.push_back(around(y, left + (static_cast<double>(j) + 0.5) * bin_w / static_cast<double>(columns), in_height_, in_width_));
      }
    }
  }
  return result;
}

namespace ops {
namespace {

using Point = RoiAligner::Point;

/// x: [N, C, H, W]; rois: [R, 4]; batch_indices: int64 [R]. y: [R, C, output_height, output_width].
void infer(InferContext& c) {
  c.require_inputs(3, 3);
  require_type(c, 0, is_float, "a float type");
  require_same_type(c, 0, 1);
  c.require_rank(0, 4, 4);
  c.require_rank(1, 2, 2);
  c.require_rank(2, 1, 1);
  const Node& node = c.node();
  const int64_t height = node.get<int64_t>("output_height", 1), width = node.get<int64_t>("output_width", 1);
  if (height < 1 || width < 1) c.fail("output is " + std::to_string(height) + " x " + std::to_string(width) + ", expected at least 1 x 1");
  checked_mul(height, width);
  if (node.get<int64_t>("sampling_ratio", 0) < 0) c.fail("sampling_ratio is negative");
  const auto mode = node.get<std::string>("mode", "avg");
  if (mode != "avg" && mode != "max") c.fail("mode is '" + mode + "', expected avg or max");
  const auto how = node.get<std::string>("coordinate_transformation_mode", "half_pixel");
  if (how != "half_pixel" && how != "output_half_pixel") c.fail("coordinate_transformation_mode is '" + how + "', expected half_pixel or output_half_pixel");
  if (c.has_rank(1) && c.dims(1)[1].known() && !c.dims(1)[1].is(4)) c.fail("regions have " + c.dims(1)[1].str() + " numbers, expected 4");
  for (int64_t i = 2; c.has_rank(0) && i < 4; ++i) {
    if (c.dims(0)[static_cast<size_t>(i)].is(0)) c.fail("input " + to_string(c.dims(0)) + " has nothing to sample");
  }
  const Dim count = c.has_rank(1) ? c.dims(1)[0] : c.has_rank(2) ? c.dims(2)[0] : Dim();
  c.set(0, c.elem_type(0), {count, c.has_rank(0) ? c.dims(0)[1] : Dim(), Dim(height), Dim(width)});
}

/// The largest of all products of a weight and an element, as ONNX Runtime and the reference have it: which one.
std::pair<const Point*, size_t> largest(const std::vector<Point>& points, size_t first, size_t count, const double* plane) {
  std::pair<const Point*, size_t> best{nullptr, 0};
  double most = 0;
  for (size_t i = first; i < first + count; ++i) {
    for (size_t k = 0; k < 4; ++k) {
      const double value = points[i].weight[k] * plane[points[i].offset[k]];
      if (!best.first || value > most) best = {&points[i], k}, most = value;
    }
  }
  return best;
}

/// visit(region, channel's plane in x, its first output, bin, points of the region, first point of the bin, number of them).
template <class Visit>
void for_each_bin(const RoiAligner& roi, int64_t channels, bool by_channel, Visit visit) {
  const auto region = [&](int64_t r, int64_t from, int64_t to) {
    const std::vector<Point> points = roi.points(r);
    const size_t each = points.size() / static_cast<size_t>(roi.bins());
    for (int64_t channel = from; channel < to; ++channel) {
      for (int64_t bin = 0; bin < roi.bins(); ++bin) {
        visit(roi.image(r) * channels + channel, (r * channels + channel) * roi.bins() + bin, points, static_cast<size_t>(bin) * each, each);
      }
    }
  };
  if (by_channel) {  // regions of one image meet
    parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < roi.regions(); ++r) region(r, begin, end);
    });
  } else {
    parallel_for(roi.regions(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) region(r, 0, channels);
    });
  }
}

void evaluate(EvaluateContext& c) {
  const Dims& dims = c.input(0).dims();
  const RoiAligner roi(c, dims, c.input(1), c.input(2));
  const auto x = c.input(0).to_doubles();
  Tensor y(DataType::float64, {roi.regions(), dims[1], roi.height(), roi.width()});
  const auto out = y.mutable_data<double>();
  const int64_t size = dims[2] * dims[3];
  for_each_bin(roi, dims[1], false, [&](int64_t plane, int64_t to, const std::vector<Point>& points, size_t first, size_t count) {
    const double* from = x.data() + plane * size;
    if (roi.takes_max()) {
      const auto best = largest(points, first, count, from);
      out[to] = best.first ? best.first->weight[best.second] * from[best.first->offset[best.second]] : 0;
      return;
    }
    double sum = 0;
    for (size_t i = first; i < first + count; ++i) {
      for (size_t k = 0; k < 4; ++k) sum += points[i].weight[k] * from[points[i].offset[k]];
    }
    out[to] = sum / static_cast<double>(std::max<size_t>(1, count));
  });
  c.set(0, y.cast(c.input(0).type()));
}

void infer_grad(InferContext& c) {
  c.require_inputs(4, 4);
  c.set(0, c.type(1));
}

void evaluate_grad(EvaluateContext& c) {
  const Dims& dims = c.input(1).dims();
  const RoiAligner roi(c, dims, c.input(2), c.input(3));
  const auto dy = c.input(0).to_doubles(), x = c.input(1).to_doubles();
  Tensor dx(DataType::float64, dims);
  const auto out = dx.mutable_data<double>();
  const int64_t size = dims[2] * dims[3];
  for_each_bin(roi, dims[1], true, [&](int64_t plane, int64_t from, const std::vector<Point>& points, size_t first, size_t count) {
    const double g = dy[static_cast<size_t>(from)];
    if (roi.takes_max()) {
      const auto best = largest(points, first, count, x.data() + plane * size);
      if (best.first) out[plane * size + best.first->offset[best.second]] += g * best.first->weight[best.second];
      return;
    }
    for (size_t i = first; i < first + count; ++i) {
      for (size_t k = 0; k < 4; ++k) out[plane * size + points[i].offset[k]] += g * points[i].weight[k] / static_cast<double>(count);
    }
  });
  c.set(0, dx.cast(c.input(1).type()));
}

void gradient(GradientContext& c) {
  if (c.wants(1)) c.fail("cannot be differentiated by its regions");
  if (!c.wants(0)) return;
  std::vector<Attribute> attributes = c.node().attributes;
  if (c.node().version < 16 && !c.node().has("coordinate_transformation_mode")) {
    attributes.push_back({"coordinate_transformation_mode", std::string("output_half_pixel"), {}});
  }
  c.set_grad(0, c.add("RoiAlignGrad", {c.grad_output(), c.input(0), c.input(1), c.input(2)}, attributes));
}

/// Eight FLOPs a sampling point, one point a bin where their number follows the region.
Cost cost(const InferContext& c) {
  const auto ratio = std::max<int64_t>(1, c.node().get<int64_t>("sampling_ratio", 0));
  return {.flops = checked_mul(known_elements(c.output(0).type), checked_mul(8, checked_mul(ratio, ratio))), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op roi_align;
const Op roi_align = {
    .name = "RoiAlign",
    .since = 10,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::first_channels,
    .cut = cuts::first_channels,
    .cost = cost,
};

/// RoiAlignGrad(dy, x, rois, batch_indices) -> dx, with RoiAlign's attributes.
extern const Op roi_align_grad;
const Op roi_align_grad = {
    .name = "RoiAlignGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
};

}  // namespace ops
}  // namespace espalier
