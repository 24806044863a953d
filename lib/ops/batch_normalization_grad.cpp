#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/kernels/batch_norm.h"
#include "lib/ops/conv_problem.h"
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

/// dx may take dy's memory; the mask of a Relu or Clip behind the normalisation is applied on the way.
bool lower(LowerContext& c) {
  const bool train = c.node().get<int64_t>("training_mode", 0) != 0;
  const Layout layout = own_layout(c, 0);
  if (c.type(0) != DataType::float32 || !layout.channels() || (train && !c.kept())) return false;
  BatchNormProblem p;
  p.layout = layout;
  p.epsilon = c.node().get<float>("epsilon", 1e-5f);
  p.batch_statistics = train;
  if (const auto& mask = c.fusion().grad_mask) {
    p.bounds = mask->kind == ElementKind::relu_grad ? Bounds{0, std::numeric_limits<float>::infinity()}
                                                    : Bounds{mask->alpha, mask->beta};
  }
  std::vector<Operand> args = {c.read(0, layout)};
  const Layout per_channel = Layout::plain(DataType::float32, c.dims(1));
  for (const size_t i : {1, 2, 3}) args.push_back(c.read(i, per_channel));
  const Operand dy = c.read(4, layout);
  args.push_back(dy);
  if (p.bounds) args.push_back(c.mask(layout));
  if (train) args.push_back(*c.kept());
  args.push_back(c.write_over(0, dy, layout));
  for (const size_t i : {1, 2}) {
    args.push_back(c.has_output(i) ? c.write(i, per_channel) : c.scratch(per_channel.bytes()));
  }
  args.push_back(c.scratch(batch_norm_scratch(p)));
  c.step(batch_norm_backward(p), args, vector_loops().name);
  return true;
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
    .lower = lower,
    .absorbs = kAbsorbsGradMask,
    .masked_input = 4,
};

}  // namespace espalier::ops
