// GridSample and its gradient.

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/grid_sample_loop.h"
#include "lib/ops/grid_sampler.h"
#include "lib/ops/image_units.h"

namespace espalier::ops {
namespace {

/// x: [N, C, D1 ... Dr]; grid: [N, E1 ... Er, r], the last spatial axis first. y: [N, C, E1 ... Er].
void check_sizes(InferContext& c, size_t x, size_t grid) {
  c.require_rank(x, 3, c.node().op_type == "GridSample" && c.version() < 20 ? 4 : kMaxRank);
  if (!c.has_rank(x) || !c.has_rank(grid)) return;
  if (c.rank(x) != c.rank(grid)) {
    c.fail("input has rank " + std::to_string(c.rank(x)) + ", but the grid has " + std::to_string(c.rank(grid)));
  }
  const Dim &batch = c.dims(x)[0], &of_grid = c.dims(grid)[0], &last = c.dims(grid).back();
  if (batch.known() && of_grid.known() && !(batch == of_grid)) c.fail("grid is for " + of_grid.str() + " images, expected " + batch.str());
  if (last.known() && !last.is(c.rank(x) - 2)) c.fail("grid has " + last.str() + " coordinates, expected " + std::to_string(c.rank(x) - 2));
  for (int64_t i = 2; i < c.rank(x); ++i) {
    if (c.dims(x)[i].is(0) && !product(c.dims(grid)).is(0)) c.fail("input " + to_string(c.dims(x)) + " has nothing to sample");
  }
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 1, is_float, "a float type");
  GridSampler sampler(c.node());
  check_sizes(c, 0, 1);
  if (!c.has_rank(0) || !c.has_rank(1)) {
    if (c.has_rank(0)) return c.set(0, c.elem_type(0), SymbolicDims(c.dims(0).size()));
    return c.set(0, Type::tensor(c.elem_type(0)));
  }
  if (sampler.mode == GridSampler::Mode::cubic && c.version() < 20 && c.rank(0) != 4) c.fail("bicubic needs an input of rank 4");
  SymbolicDims dims = {c.dims(0)[0], c.dims(0)[1]};
  dims.insert(dims.end(), c.dims(1).begin() + 1, c.dims(1).end() - 1);
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Sizes of one sampling, and what each point reads.
struct Sampling {
  GridSampler sampler;
  Dims in;
  int64_t batch, channels, in_size, points;
  std::vector<double> grid;

  Sampling(const Node& node, const Tensor& x, const Tensor& by) : sampler(node), in(x.dims().begin() + 2, x.dims().end()) {
    batch = x.dims()[0];
    channels = x.dims()[1];
    in_size = element_count(in);
    points = element_count(Dims(by.dims().begin() + 1, by.dims().end() - 1));
    grid = by.to_doubles();
  }

  /// Taps of point p of all images.
  void taps(int64_t p, std::vector<SamplePoint>& axes, std::vector<SampleTap>& taps, std::vector<double>* slopes = nullptr) const {
    const size_t rank = in.size();
    axes.clear();
    for (size_t i = 0; i < rank; ++i) axes.push_back(sampler.at(grid[static_cast<size_t>(p) * rank + rank - 1 - i], in[i]));
    combine(axes, in, taps, slopes);
  }
};

constexpr int64_t kPointGrain = 64;

template <class T>
Tensor sample(const Sampling& s, const Tensor& x, Dims dims) {
  Tensor y(x.type(), std::move(dims));
  const auto from = x.data<T>();
  const auto to = y.mutable_data<T>();
  const bool nearest = s.sampler.mode == GridSampler::Mode::nearest;
  parallel_for(s.batch * s.points, kPointGrain, [&](int64_t begin, int64_t end) {
    std::vector<SamplePoint> axes;
    std::vector<SampleTap> taps;
    for (int64_t p = begin; p < end; ++p) {
      s.taps(p, axes, taps);
      const int64_t n = p / s.points;
      for (int64_t channel = 0; channel < s.channels; ++channel) {
        const T* plane = from.data() + (n * s.channels + channel) * s.in_size;
        T& target = to[(n * s.channels + channel) * s.points + p % s.points];
        if (nearest) {
          target = taps.empty() ? T() : plane[taps[0].offset];
          continue;
        }
        double sum = 0;
        for (const SampleTap& tap : taps) sum += tap.weight * static_cast<double>(plane[tap.offset]);
        target = convert<T>(sum);
      }
    }
  });
  return y;
}

void evaluate(EvaluateContext& c) {
  const Tensor &x = c.input(0), &grid = c.input(1);
  Dims dims = {x.dims()[0], x.dims()[1]};
  dims.insert(dims.end(), grid.dims().begin() + 1, grid.dims().end() - 1);
  const Sampling s(c.node(), x, grid);
  dispatch_numeric(x.type(), [&]<class T>() { c.set(0, sample<T>(s, x, dims)); });
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  check_sizes(c, 1, 2);
  c.set(0, c.type(1));
  if (c.has_output(1)) c.set(1, c.type(2));
}

/// dx += weight dy at each tap, channel by channel.
Tensor input_gradient(const Sampling& s, const std::vector<double>& dy, const Dims& dims) {
  Tensor dx(DataType::float64, dims);
  const auto to = dx.mutable_data<double>();
  parallel_for(s.channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<SamplePoint> axes;
    std::vector<SampleTap> taps;
    for (int64_t p = 0; p < s.batch * s.points; ++p) {
      s.taps(p, axes, taps);
      for (int64_t channel = begin; channel < end; ++channel) {
        const int64_t plane = p / s.points * s.channels + channel;
        const double g = dy[static_cast<size_t>(plane * s.points + p % s.points)];
        for (const SampleTap& tap : taps) to[plane * s.in_size + tap.offset] += tap.weight * g;
      }
    }
  });
  return dx;
}

Tensor grid_gradient(const Sampling& s, const std::vector<double>& x, const std::vector<double>& dy, const Dims& dims) {
  Tensor dgrid(DataType::float64, dims);
  const auto to = dgrid.mutable_data<double>();
  const size_t rank = s.in.size();
  parallel_for(s.batch * s.points, kPointGrain, [&](int64_t begin, int64_t end) {
    std::vector<SamplePoint> axes;
    std::vector<SampleTap> taps;
    std::vector<double> slopes;
    for (int64_t p = begin; p < end; ++p) {
      s.taps(p, axes, taps, &slopes);
      for (size_t k = 0; k < taps.size(); ++k) {
        double dot = 0;
        for (int64_t channel = 0; channel < s.channels; ++channel) {
          const int64_t plane = p / s.points * s.channels + channel;
          dot += x[static_cast<size_t>(plane * s.in_size + taps[k].offset)] * dy[static_cast<size_t>(plane * s.points + p % s.points)];
        }
        for (size_t i = 0; i < rank; ++i) to[static_cast<size_t>(p) * rank + rank - 1 - i] += dot * slopes[k * rank + i];
      }
    }
  });
  return dgrid;
}

void evaluate_grad(EvaluateContext& c) {
  const Tensor &dy = c.input(0), &x = c.input(1), &grid = c.input(2);
  const Sampling s(c.node(), x, grid);
  c.set(0, input_gradient(s, dy.to_doubles(), x.dims()).cast(x.type()));
  if (c.has_output(1)) c.set(1, grid_gradient(s, x.to_doubles(), dy.to_doubles(), grid.dims()).cast(grid.type()));
}

void gradient(GradientContext& c) {
  const auto grads = c.add_many("GridSampleGrad", {c.grad_output(), c.input(0), c.input(1)}, c.wants(1) ? 2 : 1, c.node().attributes);
  if (c.wants(0)) c.set_grad(0, grads[0]);
  if (c.wants(1)) c.set_grad(1, grads[1]);
}

/// Two FLOPs a tap: 1, 2 or 4 along each axis.
Cost cost(const InferContext& c) {
  const auto mode = GridSampler(c.node()).mode;
  int64_t taps = 1;
  for (int64_t i = 2; c.has_rank(0) && i < c.rank(0); ++i) taps *= mode == GridSampler::Mode::nearest ? 1 : mode == GridSampler::Mode::linear ? 2 : 4;
  return {.flops = checked_mul(known_elements(c.output(0).type), 2 * taps), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op grid_sample;
const Op grid_sample = {
    .name = "GridSample",
    .since = 16,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower_grid_sample,
    .gradient = gradient,
    .units = units::first_channels,
    .cut = cuts::first_channels,
    .cost = cost,
};

/// GridSampleGrad(dy, x, grid) -> dx, dgrid (optional), with GridSample's attributes.
extern const Op grid_sample_grad;
const Op grid_sample_grad = {
    .name = "GridSampleGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grid_sample_grad,
};

}  // namespace espalier::ops
