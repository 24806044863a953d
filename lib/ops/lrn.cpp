#include <cmath>

#include "lib/kernels/lrn.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/unit_rules_fused.h"

namespace espalier::ops {
namespace {

/// x: [N, C, D1 ...]; y like x.
void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 2, kMaxRank);
  require_type(c, 0, is_float, "a float type");
  const auto size = c.node().require<int64_t>("size");
  if (size < 1) c.fail("size is " + std::to_string(size) + ", expected at least 1");
  c.set(0, c.type(0));
}

/// y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto size = c.node().require<int64_t>("size");
  const double alpha = static_cast<double>(c.node().get<float>("alpha", 1e-4f)) / static_cast<double>(size);
  const double beta = static_cast<double>(c.node().get<float>("beta", 0.75f)), bias = static_cast<double>(c.node().get<float>("bias", 1.0f));
  const int64_t channels = x.dims()[1], planes = x.dims()[0] * channels, plane = planes ? x.size() / planes : 0;
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    parallel_for(planes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t k = p % channels, first = p - k;
        const int64_t from = std::max<int64_t>(0, k - (size - 1) / 2), to = std::min(channels - 1, k + size / 2);
        for (int64_t i = 0; i < plane; ++i) {
          double squares = 0;
          for (int64_t j = from; j <= to; ++j) {
            const double v = static_cast<double>(in[(first + j) * plane + i]);
            squares += v * v;
          }
          out[p * plane + i] = store<T>(static_cast<double>(in[p * plane + i]) / std::pow(bias + alpha * squares, beta));
        }
      }
    });
    c.set(0, std::move(y));
  });
}

/// The window of squares and the power of each element.
Cost cost(const InferContext& c) {
  const int64_t each = checked_add(2 * std::min<int64_t>(c.node().require<int64_t>("size"), 1 << 20), 4);
  return {.flops = checked_mul(each, known_elements(c.type(0))), .bytes = known_traffic(c)};
}

/// With d the divisor's base: dy d^-beta - 2 alpha beta / size x (sum of dy y / d over the channels that count this one).
void evaluate_grad(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(1).cast(DataType::float64);
  const auto size = c.node().require<int64_t>("size");
  const double alpha = static_cast<double>(c.node().get<float>("alpha", 1e-4f)) / static_cast<double>(size);
  const double beta = static_cast<double>(c.node().get<float>("beta", 0.75f)), bias = static_cast<double>(c.node().get<float>("bias", 1.0f));
  const int64_t channels = x.dims()[1], plane = x.size() ? x.size() / (x.dims()[0] * channels) : 0;
  Tensor dx(DataType::float64, x.dims());
  const auto in = x.data<double>(), grad = dy.data<double>();
  const auto out = dx.mutable_data<double>();
  parallel_for(x.dims()[0] * plane, 64, [&](int64_t begin, int64_t end) {
    std::vector<double> base(static_cast<size_t>(channels)), share(static_cast<size_t>(channels));
    for (int64_t position = begin; position < end; ++position) {
      const int64_t first = position / plane * channels * plane + position % plane;
      const auto window = [&](int64_t k, int64_t below, int64_t above, auto&& value) {
        double sum = 0;
        for (int64_t j = std::max<int64_t>(0, k - below); j <= std::min(channels - 1, k + above); ++j) sum += value(j);
        return sum;
      };
      const int64_t below = (size - 1) / 2, above = size / 2;
      for (int64_t k = 0; k < channels; ++k) {
        base[k] = bias + alpha * window(k, below, above, [&](int64_t j) { return in[first + j * plane] * in[first + j * plane]; });
        share[k] = grad[first + k * plane] * in[first + k * plane] * std::pow(base[k], -beta - 1);
      }
      for (int64_t k = 0; k < channels; ++k) {
        const int64_t i = first + k * plane;
        out[i] = grad[i] * std::pow(base[k], -beta) - 2 * alpha * beta * in[i] * window(k, above, below, [&](int64_t j) { return share[j]; });
      }
    }
  });
  c.set(0, dx.cast(c.input(1).type()));
}

void infer_grad(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("LRNGrad", {c.input(0), c.grad_output()}, c.node().attributes)); }

LrnProblem problem_of(const Node& node) {
  return {node.require<int64_t>("size"), node.get<float>("alpha", 1e-4f), node.get<float>("beta", 0.75f), node.get<float>("bias", 1.0f)};
}

int64_t plane_of(const Dims& dims) { return element_count({dims.begin() + 2, dims.end()}); }

/// Windows of odd sizes, which reach as far up as down, by oneDNN.
bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  const LrnProblem p = problem_of(c.node());
  if (p.size % 2 == 0 || dims.size() < 3 || dims.size() > 5) {
    const Layout plain = Layout::plain(DataType::float32, dims);
    c.step(lrn_loop(p, dims[0], dims[1], plane_of(dims)), {c.read(0, plain), c.write(0, plain)}, "loop");
    return true;
  }
  const Layout own = own_layout(c, 0);
  Primitive step = lrn(p, own);
  const std::vector<Operand> args = {c.read(0, own), c.write(0, own)};
  c.step(std::move(step), args);
  return true;
}

bool lower_grad(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  const Layout plain = Layout::plain(DataType::float32, dims);
  const Operand x = c.read(0, plain), dy = c.read(1, plain), dx = c.write(0, plain);
  c.step(lrn_backward(problem_of(c.node()), dims[0], dims[1], plane_of(dims)), {x, dy, dx, c.scratch(plain.bytes())}, "loop");
  return true;
}

}  // namespace

/// LRNGrad(x, dy) {size, alpha, beta, bias}.
extern const Op lrn_grad;
const Op lrn_grad = {.name = "LRNGrad", .domain = kInternalDomain, .infer = infer_grad, .evaluate = evaluate_grad, .lower = lower_grad};

extern const Op lrn;
const Op lrn = {
    .name = "LRN",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::neighbours,
    .cut = cuts::neighbours,
    .cost = cost,
};

}  // namespace espalier::ops
