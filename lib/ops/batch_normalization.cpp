#include <cmath>

#include "lib/base/parallel.h"
#include "lib/kernels/batch_norm.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Batch statistics are used: asked for by attribute since version 14, by further outputs before.
bool training(const Node& node) {
  return node.version >= 14 ? node.get<int64_t>("training_mode", 0) != 0 : node.has_output(1);
}

/// Before version 9 statistics could be kept for each position (spatial=0) instead of each channel.
bool per_channel(const Node& node) { return node.version >= 9 || node.get<int64_t>("spatial", 1) != 0; }

/// x: [N, C, D1 ...] (or [N]: C is 1); scale, b, mean, var: [C], or [C, D1 ...] with spatial=0.
void infer(InferContext& c) {
  c.require_inputs(5, 5);
  c.require_rank(0, 1, kMaxRank);
  for (size_t i = 0; i < 5; ++i) require_type(c, i, is_float, "a float type");
  SymbolicDims parameter = {Dim()};
  if (c.has_rank(0) && c.rank(0) == 1) parameter = {Dim(1)};
  if (c.has_rank(0) && c.rank(0) > 1) {
    parameter.assign(c.dims(0).begin() + 1, per_channel(c.node()) ? c.dims(0).begin() + 2 : c.dims(0).end());
  }
  for (size_t i = 1; i < 5; ++i) {
    if (!c.has_rank(i)) continue;
    if (!c.has_rank(0) && !per_channel(c.node())) continue;
    bool fits = c.dims(i).size() == parameter.size();
    for (size_t k = 0; fits && k < parameter.size(); ++k) {
      const Dim& size = c.dims(i)[k];
      fits = !size.known() || !parameter[k].known() || size == parameter[k];
      if (parameter[k].unknown()) parameter[k] = size;
    }
    if (!fits) {
      const char* const names[] = {"", "scale", "bias", "mean", "variance"};
      c.fail(std::string(names[i]) + " has shape " + to_string(c.dims(i)) + ", expected " + to_string(parameter));
    }
  }
  c.set(0, c.type(0));
  for (size_t i = 1; i < c.output_count(); ++i) {
    if (c.has_output(i) && !training(c.node())) c.fail("has statistics as outputs, but training_mode is 0");
    if (c.has_output(i)) c.set(i, c.elem_type(c.version() >= 14 ? 3 : 0), parameter);
  }
}

struct Shape {
  int64_t batch, channels, inner;
  int64_t at(int64_t n, int64_t channel) const { return (n * channels + channel) * inner; }
};

Shape shape_of(const Tensor& x, bool by_channel) {
  const Dims& dims = x.dims();
  if (dims.size() == 1) return {dims[0], 1, 1};
  const int64_t rest = element_count(Dims(dims.begin() + 2, dims.end()));
  return by_channel ? Shape{dims[0], dims[1], rest} : Shape{dims[0], dims[1] * rest, 1};
}

struct Moments {
  double mean, variance;
};

template <class T>
Moments batch_moments(std::span<const T> x, const Shape& s, int64_t channel) {
  const double count = static_cast<double>(s.batch * s.inner);
  double sum = 0, squares = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t i = 0; i < s.inner; ++i) sum += static_cast<double>(x[s.at(n, channel) + i]);
  }
  const double mean = sum / count;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t i = 0; i < s.inner; ++i) {
      const double difference = static_cast<double>(x[s.at(n, channel) + i]) - mean;
      squares += difference * difference;
    }
  }
  return {mean, squares / count};
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const Shape s = shape_of(x, per_channel(c.node()));
  const auto scale = c.input(1).to_doubles(), bias = c.input(2).to_doubles();
  const auto mean = c.input(3).to_doubles(), variance = c.input(4).to_doubles();
  const double epsilon = static_cast<double>(c.node().get<float>("epsilon", 1e-5f));
  const double momentum = static_cast<double>(c.node().get<float>("momentum", 0.9f));
  const bool train = training(c.node());
  const auto channels = static_cast<size_t>(s.channels);
  // The outputs after the first: running mean and variance, and up to version 9 the batch's own.
  std::vector<std::vector<double>> statistics(4, std::vector<double>(channels));
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    parallel_for(s.channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const Moments used = train ? batch_moments(in, s, k) : Moments{mean[k], variance[k]};
        statistics[0][k] = mean[k] * momentum + used.mean * (1 - momentum);
        statistics[1][k] = variance[k] * momentum + used.variance * (1 - momentum);
        statistics[2][k] = used.mean;
        statistics[3][k] = used.variance;
        const double factor = scale[k] / std::sqrt(used.variance + epsilon);
        for (int64_t n = 0; n < s.batch; ++n) {
          for (int64_t i = s.at(n, k); i < s.at(n, k) + s.inner; ++i) {
            out[i] = store<T>((static_cast<double>(in[i]) - used.mean) * factor + bias[k]);
          }
        }
      }
    });
    c.set(0, std::move(y));
  });
  for (size_t i = 1; i < c.output_count(); ++i) {
    if (c.has_output(i)) c.set(i, Tensor::of(c.input(3).dims(), statistics[i - 1]).cast(c.input(c.version() >= 14 ? 3 : 0).type()));
  }
}

Cost cost(const InferContext& c) { return {.flops = checked_mul(2, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

/// Scale and bias; mean and variance are statistics.
std::vector<int> parameters(const Node&) { return {1, 2}; }

/// Of given statistics: dmean = -dbias scale / sigma, dvar = -dscale scale / (2 sigma^2), sigma^2 = var + epsilon.
void statistics_gradient(GradientContext& c, ValueId dscale, ValueId dbias) {
  const ValueId epsilon = c.scalar(static_cast<double>(c.node().get<float>("epsilon", 1e-5f)), c.input(4));
  const ValueId squared = c.add("Add", {c.input(4), epsilon});
  const auto share = [&](ValueId grad, ValueId by) { return c.add("Div", {c.add("Mul", {grad, c.input(1)}), by}); };
  if (c.wants(3)) c.set_grad(3, c.add("Neg", {share(dbias, c.add("Sqrt", {squared}))}));
  if (c.wants(4)) c.set_grad(4, c.add("Mul", {share(dscale, squared), c.scalar(-0.5, c.input(4))}));
}

void gradient(GradientContext& c) {
  if (!per_channel(c.node())) c.fail("cannot be differentiated with spatial=0");
  const bool train = training(c.node());
  if (c.grad_output(0) == kNone) return;
  const std::vector<Attribute> attributes = {{"epsilon", c.node().get<float>("epsilon", 1e-5f), {}},
                                             {"training_mode", int64_t{train}, {}}};
  const auto grads = c.add_many("BatchNormalizationGrad", {c.input(0), c.input(1), c.input(3), c.input(4), c.grad_output()}, 3,
                                attributes);
  for (size_t i = 0; i < 3; ++i) c.set_grad(i, grads[i]);
  if (!train && (c.wants(3) || c.wants(4))) statistics_gradient(c, grads[1], grads[2]);
}

/// The bounds of the Relu or Clip that was taken in.
std::optional<Bounds> bounds_of(const std::vector<ElementOp>& activations) {
  if (activations.empty()) return std::nullopt;
  if (activations[0].kind == ElementKind::relu) return Bounds{0, std::numeric_limits<float>::infinity()};
  return Bounds{activations[0].alpha, activations[0].beta};
}

/// In any layout that has channels; in training the batch's statistics are kept for the backward.
bool lower(LowerContext& c) {
  const bool train = training(c.node());
  const Layout layout = own_layout(c, 0);
  if (c.type(0) != DataType::float32 || !c.has_output(0) || !per_channel(c.node()) || !layout.channels() || element_count(c.dims(0)) == 0 ||
      c.output_dims(0) != c.dims(0) || (train && (!c.has_output(1) || !c.has_output(2))) || c.has_output(3)) {
    return false;
  }
  BatchNormProblem p;
  p.layout = layout;
  p.epsilon = c.node().get<float>("epsilon", 1e-5f);
  p.momentum = c.node().get<float>("momentum", 0.9f);
  p.batch_statistics = train;
  p.residual = c.fusion().residual;
  p.bounds = bounds_of(c.fusion().activations);
  std::vector<Operand> args = {c.read(0, layout)};
  for (size_t i = 1; i < 5; ++i) args.push_back(c.read(i, Layout::plain(DataType::float32, c.dims(i))));
  if (p.residual) args.push_back(c.residual(layout));
  args.push_back(c.write_over(0, args[0], layout));
  if (train) {
    for (const size_t i : {1, 2}) args.push_back(c.write(i, Layout::plain(DataType::float32, c.dims(i + 2))));
    args.push_back(c.keep(static_cast<size_t>(2 * p.padded_channels()) * sizeof(float)));
  }
  args.push_back(c.scratch(batch_norm_scratch(p)));
  c.step(batch_norm_forward(p), args, vector_loops().name);
  return true;
}

}  // namespace

extern const Op batch_normalization;
const Op batch_normalization = {
    .name = "BatchNormalization",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsBounds | kAbsorbsResidual,
    .gradient = gradient,
    .units = units::norm,
    .cut = cuts::norm,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
