#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(5, 5);
  c.require_rank(0, 2, kMaxRank);
  c.set(0, c.type(0));
  if (c.has_output(1)) c.set(1, c.type(1));
  if (c.has_output(2)) c.set(2, c.type(1));
}

/// One channel of [N, C, inner].
struct Channel {
  int64_t n, channels, inner, index;
  int64_t count() const { return n * inner; }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t start = (i * channels + index) * inner;
      for (int64_t j = start; j < start + inner; ++j) visit(j);
    }
  }
};

struct Moments {
  double mean, variance;
};

Moments batch_moments(const Channel& channel, const double* x) {
  Moments m{0, 0};
  const auto count = static_cast<double>(channel.count());
  channel.for_each([&](int64_t j) { m.mean += x[j] / count; });
  channel.for_each([&](int64_t j) { m.variance += (x[j] - m.mean) * (x[j] - m.mean) / count; });
  return m;
}

void evaluate(EvaluateContext& c) {
  const auto wide = [&](size_t i) { return c.input(i).cast(DataType::float64); };
  const Tensor x = wide(0), scale = wide(1), mean = wide(2), variance = wide(3), dy = wide(4);
  const bool training = c.node().get<int64_t>("training_mode", 0) != 0;
  const double epsilon = c.node().get<float>("epsilon", 1e-5f);
  const int64_t n = x.dims()[0], channels = x.dims()[1], inner = n == 0 || channels == 0 ? 0 : x.size() / (n * channels);
  Tensor dx(DataType::float64, x.dims()), dscale(DataType::float64, {channels}), dbias(DataType::float64, {channels});
  const double* in = x.data<double>().data();
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  double* to_scale = dscale.mutable_data<double>().data();
  double* to_bias = dbias.mutable_data<double>().data();
  parallel_for(channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Channel channel{n, channels, inner, i};
      const Moments m =
          training ? batch_moments(channel, in) : Moments{mean.data<double>()[i], variance.data<double>()[i]};
      const double inverse = 1 / std::sqrt(m.variance + epsilon);
      channel.for_each([&](int64_t j) {
        to_scale[i] += grad[j] * (in[j] - m.mean) * inverse;
        to_bias[i] += grad[j];
      });
      const double factor = scale.data<double>()[i] * inverse;
      const double share = training ? 1 / static_cast<double>(channel.count()) : 0;
      channel.for_each([&](int64_t j) {
        const double normalized = (in[j] - m.mean) * inverse;
        to[j] = factor * (grad[j] - share * (to_bias[i] + normalized * to_scale[i]));
      });
    }
  });
  c.set(0, dx.cast(c.input(0).type()));
  if (c.has_output(1)) c.set(1, dscale.cast(c.input(1).type()));
  if (c.has_output(2)) c.set(2, dbias.cast(c.input(1).type()));
}

}  // namespace

/// BatchNormalizationGrad(x, scale, mean, var, dy) {epsilon, training_mode} -> dx, dscale, dbias.
/// training_mode 1: through the statistics of the batch, which are calculated from x; mean and var are not used.
/// training_mode 0: mean and var are constants.
extern const Op batch_normalization_grad;
const Op batch_normalization_grad = {
    .name = "BatchNormalizationGrad",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
};

}  // namespace espalier::ops
