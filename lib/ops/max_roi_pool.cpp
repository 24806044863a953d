// MaxRoiPool: the largest element of each bin of a region (Girshick 2015, Fast R-CNN).

#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/image_units.h"

namespace espalier::ops {
namespace {

/// x: [N, C, H, W]; rois: [R, 5], each (image, x1, y1, x2, y2). y: [R, C, pooled_shape].
void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 0, is_float, "a float type");
  require_same_type(c, 0, 1);
  c.require_rank(0, 4, 4);
  c.require_rank(1, 2, 2);
  const auto shape = c.node().require<Dims>("pooled_shape");
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1) c.fail("pooled_shape is " + to_string(shape) + ", expected two sizes above 0");
  if (c.has_rank(1) && c.dims(1)[1].known() && !c.dims(1)[1].is(5)) c.fail("regions have " + c.dims(1)[1].str() + " numbers, expected 5");
  c.set(0, c.elem_type(0), {c.has_rank(1) ? c.dims(1)[0] : Dim(), c.has_rank(0) ? c.dims(0)[1] : Dim(), Dim(shape[0]), Dim(shape[1])});
}

/// Elements [begin, end) of each of n bins over a side from `first` to `last`, both included, of `size` elements.
std::vector<std::pair<int64_t, int64_t>> bins(double first, double last, double scale, int64_t n, int64_t size) {
  const double begin = std::round(first * scale), end = std::round(last * scale);
  const double width = std::max(end - begin + 1, 1.0) / static_cast<double>(n), most = static_cast<double>(size);
  std::vector<std::pair<int64_t, int64_t>> result;
  for (int64_t i = 0; i < n; ++i) {
    const double from = std::floor(static_cast<double>(i) * width) + begin, to = std::ceil(static_cast<double>(i + 1) * width) + begin;
    result.emplace_back(static_cast<int64_t>(std::clamp(from, 0.0, most)), static_cast<int64_t>(std::clamp(to, 0.0, most)));
  }
  return result;
}

/// visit(plane of x, output, element of the plane or -1 for an empty bin) for the largest element of each bin.
template <class Visit>
void for_each_maximum(const EvaluateContext& c, const Tensor& x, const Tensor& rois, Visit visit) {
  const auto shape = c.node().require<Dims>("pooled_shape");
  const double scale = static_cast<double>(c.node().get<float>("spatial_scale", 1.0f));
  if (!std::isfinite(scale)) c.fail("spatial_scale is not finite");
  const auto values = x.to_doubles(), boxes = rois.to_doubles();
  const Dims& dims = x.dims();
  const int64_t channels = dims[1], size = dims[2] * dims[3];
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (!std::isfinite(boxes[i])) c.fail("a region is not finite");
    if (i % 5 == 0 && (boxes[i] < 0 || boxes[i] >= static_cast<double>(dims[0]))) {
      c.fail("batch index " + std::to_string(boxes[i]) + " is out of range for " + std::to_string(dims[0]) + " images");
    }
  }
  // By channel: regions of one image may meet.
  parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rois.dims()[0]; ++r) {
      const double* box = boxes.data() + r * 5;
      const auto rows = bins(box[2], box[4], scale, shape[0], dims[2]), columns = bins(box[1], box[3], scale, shape[1], dims[3]);
      for (int64_t channel = begin; channel < end; ++channel) {
        const int64_t plane = static_cast<int64_t>(box[0]) * channels + channel;
        for (int64_t bin = 0; bin < shape[0] * shape[1]; ++bin) {
          const auto [top, bottom] = rows[static_cast<size_t>(bin / shape[1])];
          const auto [left, right] = columns[static_cast<size_t>(bin % shape[1])];
          int64_t best = -1;
          for (int64_t y = top; y < bottom; ++y) {
            for (int64_t at = y * dims[3] + left; at < y * dims[3] + right; ++at) {
              if (best < 0 || values[static_cast<size_t>(plane * size + at)] > values[static_cast<size_t>(plane * size + best)]) best = at;
            }
          }
          visit(plane, (r * channels + channel) * shape[0] * shape[1] + bin, best);
        }
      }
    }
  });
}

void evaluate(EvaluateContext& c) {
  const Tensor &x = c.input(0), &rois = c.input(1);
  const auto shape = c.node().require<Dims>("pooled_shape");
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), {rois.dims()[0], x.dims()[1], shape[0], shape[1]});
    const auto from = x.data<T>();
    const auto to = y.mutable_data<T>();
    const int64_t size = x.dims()[2] * x.dims()[3];
    for_each_maximum(c, x, rois, [&](int64_t plane, int64_t out, int64_t best) { to[out] = best < 0 ? T() : from[plane * size + best]; });
    c.set(0, std::move(y));
  });
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(1));
}

void evaluate_grad(EvaluateContext& c) {
  const auto dy = c.input(0).to_doubles();
  const Tensor& x = c.input(1);
  Tensor dx(DataType::float64, x.dims());
  const auto to = dx.mutable_data<double>();
  const int64_t size = x.dims()[2] * x.dims()[3];
  for_each_maximum(c, x, c.input(2), [&](int64_t plane, int64_t out, int64_t best) {
    if (best >= 0) to[plane * size + best] += dy[static_cast<size_t>(out)];
  });
  c.set(0, dx.cast(x.type()));
}

void gradient(GradientContext& c) {
  if (c.wants(1)) c.fail("cannot be differentiated by its regions");
  if (c.wants(0)) c.set_grad(0, c.add("MaxRoiPoolGrad", {c.grad_output(), c.input(0), c.input(1)}, c.node().attributes));
}

Cost cost(const InferContext& c) { return {.flops = known_elements(c.output(0).type), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op max_roi_pool;
const Op max_roi_pool = {
    .name = "MaxRoiPool",
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::first_channels,
    .cut = cuts::first_channels,
    .cost = cost,
};

/// MaxRoiPoolGrad(dy, x, rois) -> dx, with MaxRoiPool's attributes.
extern const Op max_roi_pool_grad;
const Op max_roi_pool_grad = {
    .name = "MaxRoiPoolGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
};

}  // namespace espalier::ops
