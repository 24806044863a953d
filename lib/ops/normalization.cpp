// LpNormalization and MeanVarianceNormalization: no parameters, any axes.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

/// Axes that share statistics. MeanVarianceNormalization: batch and space by default.
Dims axes_of(const Node& node) {
  if (node.op_type == "LpNormalization") return {node.get<int64_t>("axis", -1)};
  if (node.version < 9) return node.get<int64_t>("across_channels", 0) != 0 ? Dims{1, 2, 3} : Dims{2, 3};
  return node.get<Dims>("axes", {0, 2, 3});
}

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  if (c.has_rank(0)) {
    for (const int64_t axis : axes_of(c.node())) c.axis(axis, c.rank(0));
  }
  c.set(0, c.type(0));
}

/// The sum of f(x, other) over the axes, other of the result's shape; axes stay with size 1.
template <class F>
Tensor sum_over(const Tensor& x, const Tensor& other, const Dims& axes, F f) {
  Dims dims = x.dims();
  for (const int64_t axis : axes) dims[static_cast<size_t>(normalize_axis(axis, x.rank()))] = 1;
  Tensor sum(DataType::float64, dims);
  const auto in = x.data<double>(), with = other.data<double>();
  const auto out = sum.mutable_data<double>();
  const Dims strides = row_major_strides(x.dims()), to = broadcast_strides(dims, x.dims()), from = broadcast_strides(other.dims(), x.dims());
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t at = 0, at_other = 0;
    for (size_t axis = 0; axis < strides.size(); ++axis) {
      const int64_t index = i / strides[axis] % x.dims()[axis];
      at += index * to[axis];
      at_other += index * from[axis];
    }
    out[at] += f(in[i], with[at_other]);
  }
  return sum;
}

void lp_evaluate(EvaluateContext& c) {
  const auto p = c.node().get<int64_t>("p", 2);
  if (p != 1 && p != 2) c.fail("p is " + std::to_string(p) + ", expected 1 or 2");
  const Tensor x = c.input(0).cast(DataType::float64), none = Tensor::scalar(0.0);
  const Tensor sums = sum_over(x, none, axes_of(c.node()), [p](double v, double) { return p == 1 ? std::abs(v) : v * v; });
  const auto divide = [p](double v, double sum) { return sum == 0 ? 0.0 : v / (p == 1 ? sum : std::sqrt(sum)); };
  c.set(0, zip<double, double>(x, sums, divide).cast(c.input(0).type()));
}

/// (x - mean) / (deviation + 1e-9)
void mean_variance_evaluate(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), none = Tensor::scalar(0.0);
  const Dims axes = axes_of(c.node());
  Tensor mean = sum_over(x, none, axes, [](double v, double) { return v; });
  const double count = mean.size() ? static_cast<double>(x.size()) / static_cast<double>(mean.size()) : 1;
  mean = map<double, double>(mean, [count](double sum) { return sum / count; });
  const Tensor squares = sum_over(x, mean, axes, [](double v, double m) { return (v - m) * (v - m); });
  const Tensor centered = zip<double, double>(x, mean, [](double v, double m) { return v - m; });
  const auto divide = [count](double v, double sum) { return v / (std::sqrt(sum / count) + 1e-9); };
  c.set(0, zip<double, double>(centered, squares, divide).cast(c.input(0).type()));
}

Cost cost(const InferContext& c) { return {.flops = checked_mul(4, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op lp_normalization;
const Op lp_normalization = {
    .name = "LpNormalization",
    .infer = infer,
    .evaluate = lp_evaluate,
    .cost = cost,
};

extern const Op mean_variance_normalization;
const Op mean_variance_normalization = {
    .name = "MeanVarianceNormalization",
    .infer = infer,
    .evaluate = mean_variance_evaluate,
    .cost = cost,
};

}  // namespace espalier::ops
