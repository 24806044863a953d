// LpNormalization and MeanVarianceNormalization: no parameters, any axes.

#include <algorithm>
#include <cmath>

#include "lib/kernels/reduce.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/norm_problem.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/units.h"

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

ValueId times(GradientContext& c, ValueId a, ValueId b) { return c.add("Mul", {a, b}); }

/// The norm, then one division; where all is zero, zero.
bool lp_lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || dims.empty() || element_count(dims) == 0) return false;
  const auto axis = static_cast<size_t>(normalize_axis(axes_of(c.node())[0], static_cast<int64_t>(dims.size())));
  const bool two = c.node().get<int64_t>("p", 2) == 2;
  std::vector<bool> reduced(dims.size(), false);
  reduced[axis] = true;
  Dims small = dims;
  small[axis] = 1;
  const Layout plain = Layout::plain(DataType::float32, dims);
  const Operand x = c.read(0, plain), y = c.write(0, plain), norm = c.scratch(static_cast<size_t>(element_count(small)) * sizeof(float));
  c.step(reduce(two ? ReduceKind::sum_square : ReduceKind::abs_sum, two ? ReduceFinish::square_root : ReduceFinish::scale, dims, reduced), {x, norm}, "loop");
  ElementOperand beside{ElementOperand::Kind::strided, 0, row_major_strides(small)};
  for (size_t a = 0; a < small.size(); ++a) beside.strides[a] = small[a] == 1 ? 0 : beside.strides[a];
  std::vector<ElementStep> steps = {{{ElementKind::clip, 1e-30f, INFINITY}, 1, 1, 2}, {{ElementKind::div}, 0, 2, 3}};
  c.step(element_chain(plain, {{ElementOperand::Kind::full, 0, {}}, beside}, std::move(steps)), {x, norm, y}, "chain");
  return true;
}

/// With n the norm: p = 2: (dy - y sum(dy y)) / n; p = 1: (dy - sign(x) sum(dy y)) / n.
void lp_gradient(GradientContext& c) {
  const std::vector<Attribute> axes = {{"axes", axes_of(c.node()), {}}};
  const bool two = c.node().get<int64_t>("p", 2) == 2;
  const ValueId x = c.input(0), dy = c.grad_output(), y = c.output();
  const ValueId norm = c.add("Max", {c.add(two ? "ReduceL2" : "ReduceL1", {x}, axes), c.scalar(1e-30, x)});
  const ValueId dot = c.add("ReduceSum", {times(c, dy, y), integers(c, axes_of(c.node()))});
  c.set_grad(0, c.add("Div", {c.add("Sub", {dy, times(c, two ? y : c.add("Sign", {x}), dot)}), norm}));
}

/// With c = x - mean(x), s = deviation, d = s + 1e-9: (dy - mean(dy)) / d - c mean(dy c) / (s d^2).
void mean_variance_gradient(GradientContext& c) {
  const std::vector<Attribute> axes = {{"axes", axes_of(c.node()), {}}};
  const auto mean = [&](ValueId v) { return c.add("ReduceMean", {v}, axes); };
  const ValueId x = c.input(0), dy = c.grad_output();
  const ValueId centred = c.add("Sub", {x, mean(x)});
  const ValueId deviation = c.add("Sqrt", {mean(times(c, centred, centred))});
  const ValueId divisor = c.add("Add", {deviation, c.scalar(1e-9, x)});
  const ValueId safe = c.add("Max", {deviation, c.scalar(1e-30, x)});
  const ValueId across = c.add("Div", {c.add("Sub", {dy, mean(dy)}), divisor});
  const ValueId slope = c.add("Div", {c.add("Div", {c.add("Div", {mean(times(c, dy, centred)), safe}), divisor}), divisor});
  c.set_grad(0, c.add("Sub", {across, times(c, centred, slope)}));
}

/// Where the axes, sizes of 1 aside, are the last ones, or all but the channels'.
bool mean_variance_lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  std::vector<bool> gone(dims.size());
  for (const int64_t axis : axes_of(c.node())) gone[static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(dims.size())))] = true;
  NormProblem p;
  size_t first = 0;  // of the last axes
  while (first < dims.size() && (!gone[first] || dims[first] == 1)) ++first;
  const bool last = std::all_of(gone.begin() + static_cast<std::ptrdiff_t>(first), gone.end(), [](bool g) { return g; });
  if (last) {
    p = layer_problem(dims, static_cast<int64_t>(first) - static_cast<int64_t>(dims.size()), 0, true);
    if (first == dims.size()) return false;
    p.by_element = false;
  } else {
    const bool but_channels = gone[0] && !gone[1] && std::all_of(gone.begin() + 2, gone.end(), [](bool g) { return g; });
    if (!but_channels || element_count(dims) == 0) return false;
    const int64_t plane = element_count({dims.begin() + 2, dims.end()});
    p = {dims[1], dims[0], plane, dims[1], 0, plane, dims[1] * plane};
  }
  p.epsilon = 1e-18f;  // the square of what the deviation is raised by
  return lower_norm(c, p);
}

/// Zeros change neither the norm nor each other: what is gone is as if it were 0.
void lp_units(UnitContext& c) {
  const ValueId x = c.input(0);
  const int axis = c.axis(axes_of(c.node())[0], c.rank(x));
  c.collapse_rows(x, axis);
  for (const Bundle& b : c.bundles(x)) {
    if (b.ragged == axis) c.activation_sink(0, b);
  }
  c.set(c.output(), c.bundles(x));
}

void mean_variance_units(UnitContext& c) {
  const ValueId x = c.input(0);
  for (const int64_t a : axes_of(c.node())) c.freeze_axis(x, c.axis(a, c.rank(x)), c.op() + " counts it");
  c.set(c.output(), c.bundles(x));
}

Cost cost(const InferContext& c) { return {.flops = checked_mul(4, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op lp_normalization;
const Op lp_normalization = {
    .name = "LpNormalization",
    .infer = infer,
    .evaluate = lp_evaluate,
    .lower = lp_lower,
    .gradient = lp_gradient,
    .units = lp_units,
    .cut = cuts::same,
    .cost = cost,
};

extern const Op mean_variance_normalization;
const Op mean_variance_normalization = {
    .name = "MeanVarianceNormalization",
    .infer = infer,
    .evaluate = mean_variance_evaluate,
    .lower = mean_variance_lower,
    .gradient = mean_variance_gradient,
    .units = mean_variance_units,
    .cut = cuts::same,
    .cost = cost,
};

}  // namespace espalier::ops
