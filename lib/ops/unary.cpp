// Elementwise maths of one input. Trigonometry is in trigonometry.cpp.

#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

template <class F>
void map_number(EvaluateContext& c, F f) {
  const Tensor& x = c.input(0);
  dispatch_number(x.type(), [&]<class T>() { c.set(0, map<T, T>(x, f)); });
}

template <class V>
V absolute(V v) {
  if constexpr (std::is_unsigned_v<V>) return v;
  else if constexpr (std::is_integral_v<V>) return v < 0 ? wrap_sub(V(0), v) : v;
  else return std::abs(v);
}

template <class V>
V sign_of(V v) {
  if constexpr (std::is_floating_point_v<V>) {
    if (std::isnan(v)) return v;
  }
  return static_cast<V>(v > V(0) ? 1 : v == V(0) ? 0 : -1);
}

void neg_infer(InferContext& c) {
  infer_unary_numeric(c);
  auto numbers = c.numbers(0);
  if (!numbers) return;
  for (Dim& number : *numbers) number = Dim(0) - number;
  c.set_numbers(0, *numbers);
}

void abs_evaluate(EvaluateContext& c) { map_number(c, [](auto v) { return absolute(v); }); }

void neg_evaluate(EvaluateContext& c) {
  map_number(c, [](auto v) {
    if constexpr (std::is_integral_v<decltype(v)>) return wrap_sub(decltype(v)(0), v);
    else return -v;
  });
}

void sign_evaluate(EvaluateContext& c) { map_number(c, [](auto v) { return sign_of(v); }); }
void ceil_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::ceil(v); }); }

void erf_evaluate(EvaluateContext& c) {
  map_number(c, [](auto v) {
    if constexpr (std::is_integral_v<decltype(v)>) return std::erf(static_cast<double>(v));
    else return std::erf(v);
  });
}

void exp_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::exp(v); }); }
void floor_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::floor(v); }); }
void log_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::log(v); }); }
void reciprocal_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return 1 / v; }); }
void round_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::nearbyint(v); }); }  // halves to even
void sqrt_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::sqrt(v); }); }

void abs_gradient(GradientContext& c) { c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Sign", {c.input(0)})})); }
void neg_gradient(GradientContext& c) { c.set_grad(0, c.add("Neg", {c.grad_output()})); }
void exp_gradient(GradientContext& c) { c.set_grad(0, c.add("Mul", {c.grad_output(), c.output()})); }
void log_gradient(GradientContext& c) { c.set_grad(0, c.add("Div", {c.grad_output(), c.input(0)})); }

/// The steps of these functions have no slope.
void no_gradient(GradientContext&) {}

/// 2 / sqrt(pi) * exp(-x^2).
void erf_gradient(GradientContext& c) {
  const ValueId x = c.input(0);
  const ValueId bell = c.add("Exp", {c.add("Neg", {c.add("Mul", {x, x})})});
  c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Mul", {bell, c.scalar(1.1283791670955126, x)})}));
}

void reciprocal_gradient(GradientContext& c) {
  c.set_grad(0, c.add("Neg", {c.add("Mul", {c.grad_output(), c.add("Mul", {c.output(), c.output()})})}));
}

void sqrt_gradient(GradientContext& c) {
  c.set_grad(0, c.add("Div", {c.add("Mul", {c.grad_output(), c.scalar(0.5, c.output())}), c.output()}));
}

}  // namespace

extern const Op abs;
const Op abs = {
    .name = "Abs",
    .infer = infer_unary_numeric,
    .evaluate = abs_evaluate,
    .element = element_is<ElementKind::abs>,
    .gradient = abs_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op neg;
const Op neg = {
    .name = "Neg",
    .infer = neg_infer,
    .evaluate = neg_evaluate,
    .element = element_is<ElementKind::neg>,
    .gradient = neg_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sign;
const Op sign = {
    .name = "Sign",
    .infer = infer_unary_numeric,
    .evaluate = sign_evaluate,
    .element = element_is<ElementKind::sign>,
    .gradient = no_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op ceil;
const Op ceil = {
    .name = "Ceil",
    .infer = infer_unary_float,
    .evaluate = ceil_evaluate,
    .element = element_is<ElementKind::ceil>,
    .gradient = no_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op erf;
const Op erf = {
    .name = "Erf",
    .infer = infer_unary_numeric,
    .evaluate = erf_evaluate,
    .element = element_is<ElementKind::erf>,
    .gradient = erf_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op exp;
const Op exp = {
    .name = "Exp",
    .infer = infer_unary_float,
    .evaluate = exp_evaluate,
    .element = element_is<ElementKind::exp>,
    .gradient = exp_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op floor;
const Op floor = {
    .name = "Floor",
    .infer = infer_unary_float,
    .evaluate = floor_evaluate,
    .element = element_is<ElementKind::floor>,
    .gradient = no_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op log;
const Op log = {
    .name = "Log",
    .infer = infer_unary_float,
    .evaluate = log_evaluate,
    .element = element_is<ElementKind::log>,
    .gradient = log_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op reciprocal;
const Op reciprocal = {
    .name = "Reciprocal",
    .infer = infer_unary_float,
    .evaluate = reciprocal_evaluate,
    .element = element_is<ElementKind::reciprocal>,
    .gradient = reciprocal_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op round;
const Op round = {
    .name = "Round",
    .infer = infer_unary_float,
    .evaluate = round_evaluate,
    .element = element_is<ElementKind::round>,
    .gradient = no_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sqrt;
const Op sqrt = {
    .name = "Sqrt",
    .infer = infer_unary_float,
    .evaluate = sqrt_evaluate,
    .element = element_is<ElementKind::sqrt>,
    .gradient = sqrt_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
