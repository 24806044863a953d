// Sum, Mean, Max, Min: any number of operands that broadcast (of one shape before version 8).

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void infer_variadic(InferContext& c, bool (*allowed)(DataType), const char* expected) {
  c.require_inputs(1, SIZE_MAX);
  std::optional<SymbolicDims> dims;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
    require_type(c, i, allowed, expected);
    require_same_type(c, 0, i);
    if (!c.has_rank(i)) return c.set(0, Type::tensor(c.elem_type(0)));
    const bool same = !dims || c.version() >= 8 || dims->size() == c.dims(i).size();
    if (!same) c.fail("shapes " + to_string(*dims) + " and " + to_string(c.dims(i)) + " differ");
    dims = dims ? broadcast(c, *dims, c.dims(i)) : c.dims(i);
  }
  c.set(0, c.elem_type(0), std::move(*dims));
}

void float_infer(InferContext& c) { infer_variadic(c, is_float, "a float type"); }

template <class F>
void infer_extremum(InferContext& c, F choose) {
  infer_variadic(c, is_numeric, "a numeric type");
  if (c.input_count() == 1) {
    if (const auto numbers = c.numbers(0)) c.set_numbers(0, *numbers);
  } else if (c.input_count() == 2) {
    const auto combine = [&](const Dim& a, const Dim& b) {
      if (a == b) return a;
      return a.known() && b.known() ? Dim(choose(a.value(), b.value())) : Dim();
    };
    if (const auto numbers = combine_numbers(c, 0, 1, combine)) c.set_numbers(0, *numbers);
  }
}

void max_infer(InferContext& c) {
  infer_extremum(c, [](int64_t a, int64_t b) { return std::max(a, b); });
}
void min_infer(InferContext& c) {
  infer_extremum(c, [](int64_t a, int64_t b) { return std::min(a, b); });
}

/// The sum in double: one rounding at the end.
void add_up(EvaluateContext& c, double divisor) {
  Tensor sum = c.input(0).cast(DataType::float64);
  for (size_t i = 1; i < c.input_count(); ++i) {
    sum = zip<double, double>(sum, c.input(i).cast(DataType::float64), [](double a, double b) { return a + b; });
  }
  if (divisor != 1) sum = map<double, double>(sum, [divisor](double v) { return v / divisor; });
  c.set(0, sum.cast(c.input(0).type()));
}

void sum_evaluate(EvaluateContext& c) { add_up(c, 1); }
void mean_evaluate(EvaluateContext& c) { add_up(c, static_cast<double>(c.input_count())); }

template <class F>
void fold(EvaluateContext& c, F choose) {
  Tensor result = c.input(0);
  dispatch_number(result.type(), [&]<class T>() {
    for (size_t i = 1; i < c.input_count(); ++i) result = zip<T, T>(result, c.input(i), choose);
  });
  c.set(0, std::move(result));
}

// `a != a`: a NaN stays.
struct Larger {
  auto operator()(auto a, auto b) const { return a > b || a != a ? a : b; }
};
struct Smaller {
  auto operator()(auto a, auto b) const { return a < b || a != a ? a : b; }
};

template <class F>
void fold_by(EvaluateContext& c) {
  fold(c, F());
}

/// Of two integers.
template <class F>
bool lower(LowerContext& c) {
  return c.node().inputs.size() == 2 && lower_zip_integers(c, F());
}

/// The sum of all as one chain, times 1 / n.
bool mean_lower(LowerContext& c) {
  const Dims full = c.output_dims(0);
  const size_t n = c.node().inputs.size();
  constexpr size_t kMost = 64;
  if (c.type(0) != DataType::float32 || element_count(full) == 0 || n > kMost) return false;
  std::vector<ElementOperand> operands;
  std::vector<Operand> args;
  std::vector<ElementStep> steps;
  const int top = static_cast<int>(n);
  for (size_t i = 0; i < n; ++i) {
    const Dims own = c.dims(i), own_strides = row_major_strides(own);
    ElementOperand operand{ElementOperand::Kind::strided, 0, Dims(full.size(), 0)};
    for (size_t a = 0; a < own.size(); ++a) operand.strides[full.size() - own.size() + a] = own[a] == 1 ? 0 : own_strides[a];
    if (own == full) operand = {ElementOperand::Kind::full, 0, {}};
    operands.push_back(operand);
    args.push_back(c.read(i, Layout::plain(DataType::float32, own)));
    if (i > 0) steps.push_back({{ElementKind::add}, i == 1 ? 0 : top, static_cast<int>(i), top});
  }
  const int sum = steps.empty() ? 0 : top;
  steps.push_back({{ElementKind::scale_shift, 1 / static_cast<float>(n), 0}, sum, sum, top + 1});
  const Layout layout = Layout::plain(DataType::float32, full);
  args.push_back(c.write(0, layout));
  c.step(element_chain(layout, std::move(operands), std::move(steps)), args, "chain");
  return true;
}

Cost cost(const InferContext& c) {
  const auto operands = static_cast<int64_t>(c.input_count());
  return {.flops = checked_mul(known_elements(c.output(0).type), std::max<int64_t>(1, operands - 1)), .bytes = known_traffic(c)};
}

void spread(GradientContext& c, ValueId dy) {
  for (size_t i = 0; i < c.node().inputs.size(); ++i) {
    if (c.wants(i)) c.set_grad(i, sum_to_input(c, dy, i));
  }
}

void sum_gradient(GradientContext& c) { spread(c, c.grad_output()); }

void mean_gradient(GradientContext& c) {
  const auto operands = static_cast<double>(c.node().inputs.size());
  spread(c, c.add("Div", {c.grad_output(), c.scalar(operands, c.output())}));
}

/// Operands that are equal to the result share the gradient.
void extremum_gradient(GradientContext& c) {
  std::vector<ValueId> hits;
  for (const ValueId input : c.node().inputs) hits.push_back(c.add("Matches", {input, c.output()}));
  const ValueId share = c.add("Div", {c.grad_output(), c.add("Sum", hits)});
  for (size_t i = 0; i < hits.size(); ++i) {
    if (c.wants(i)) c.set_grad(i, sum_to_input(c, c.add("Mul", {share, hits[i]}), i));
  }
}

}  // namespace

extern const Op sum;
const Op sum = {
    .name = "Sum",
    .infer = float_infer,
    .evaluate = sum_evaluate,
    .element = element_is<ElementKind::add>,
    .gradient = sum_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost,
    .elementwise = true,
};

extern const Op mean;
const Op mean = {
    .name = "Mean",
    .infer = float_infer,
    .evaluate = mean_evaluate,
    .lower = mean_lower,
    .gradient = mean_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost,
    .elementwise = true,
};

extern const Op max;
const Op max = {
    .name = "Max",
    .infer = max_infer,
    .evaluate = fold_by<Larger>,
    .lower = lower<Larger>,
    .element = element_is<ElementKind::max>,
    .gradient = extremum_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost,
    .elementwise = true,
};

extern const Op min;
const Op min = {
    .name = "Min",
    .infer = min_infer,
    .evaluate = fold_by<Smaller>,
    .lower = lower<Smaller>,
    .element = element_is<ElementKind::min>,
    .gradient = extremum_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost,
    .elementwise = true,
};

}  // namespace espalier::ops
