// Trigonometric and hyperbolic functions. Tanh is an activation.

#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void acos_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::acos(v); }); }
void acosh_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::acosh(v); }); }
void asin_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::asin(v); }); }
void asinh_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::asinh(v); }); }
void atan_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::atan(v); }); }
void atanh_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::atanh(v); }); }
void cos_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::cos(v); }); }
void cosh_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::cosh(v); }); }
void sin_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::sin(v); }); }
void sinh_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::sinh(v); }); }
void tan_evaluate(EvaluateContext& c) { map_float(c, [](auto v) { return std::tan(v); }); }

ValueId plus(GradientContext& c, ValueId a, double b) { return c.add("Add", {a, c.scalar(b, c.input(0))}); }
ValueId square(GradientContext& c, ValueId v) { return c.add("Mul", {v, v}); }
ValueId negative(GradientContext& c, ValueId v) { return c.add("Neg", {v}); }

void times(GradientContext& c, ValueId slope) { c.set_grad(0, c.add("Mul", {c.grad_output(), slope})); }
void over(GradientContext& c, ValueId divisor) { c.set_grad(0, c.add("Div", {c.grad_output(), divisor})); }

/// 1 - x^2.
ValueId one_less_square(GradientContext& c) { return plus(c, negative(c, square(c, c.input(0))), 1); }

void sin_gradient(GradientContext& c) { times(c, c.add("Cos", {c.input(0)})); }
void cos_gradient(GradientContext& c) { times(c, negative(c, c.add("Sin", {c.input(0)}))); }
void tan_gradient(GradientContext& c) { times(c, plus(c, square(c, c.output()), 1)); }
void sinh_gradient(GradientContext& c) { times(c, c.add("Cosh", {c.input(0)})); }
void cosh_gradient(GradientContext& c) { times(c, c.add("Sinh", {c.input(0)})); }
void asin_gradient(GradientContext& c) { over(c, c.add("Sqrt", {one_less_square(c)})); }
void acos_gradient(GradientContext& c) { over(c, negative(c, c.add("Sqrt", {one_less_square(c)}))); }
void atan_gradient(GradientContext& c) { over(c, plus(c, square(c, c.input(0)), 1)); }
void asinh_gradient(GradientContext& c) { over(c, c.add("Sqrt", {plus(c, square(c, c.input(0)), 1)})); }
void acosh_gradient(GradientContext& c) { over(c, c.add("Sqrt", {plus(c, square(c, c.input(0)), -1)})); }
void atanh_gradient(GradientContext& c) { over(c, one_less_square(c)); }

}  // namespace

extern const Op acos;
const Op acos = {
    .name = "Acos",
    .infer = infer_unary_float,
    .evaluate = acos_evaluate,
    .element = element_is<ElementKind::acos>,
    .gradient = acos_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op acosh;
const Op acosh = {
    .name = "Acosh",
    .infer = infer_unary_float,
    .evaluate = acosh_evaluate,
    .element = element_is<ElementKind::acosh>,
    .gradient = acosh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op asin;
const Op asin = {
    .name = "Asin",
    .infer = infer_unary_float,
    .evaluate = asin_evaluate,
    .element = element_is<ElementKind::asin>,
    .gradient = asin_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op asinh;
const Op asinh = {
    .name = "Asinh",
    .infer = infer_unary_float,
    .evaluate = asinh_evaluate,
    .element = element_is<ElementKind::asinh>,
    .gradient = asinh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op atan;
const Op atan = {
    .name = "Atan",
    .infer = infer_unary_float,
    .evaluate = atan_evaluate,
    .element = element_is<ElementKind::atan>,
    .gradient = atan_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op atanh;
const Op atanh = {
    .name = "Atanh",
    .infer = infer_unary_float,
    .evaluate = atanh_evaluate,
    .element = element_is<ElementKind::atanh>,
    .gradient = atanh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op cos;
const Op cos = {
    .name = "Cos",
    .infer = infer_unary_float,
    .evaluate = cos_evaluate,
    .element = element_is<ElementKind::cos>,
    .gradient = cos_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op cosh;
const Op cosh = {
    .name = "Cosh",
    .infer = infer_unary_float,
    .evaluate = cosh_evaluate,
    .element = element_is<ElementKind::cosh>,
    .gradient = cosh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sin;
const Op sin = {
    .name = "Sin",
    .infer = infer_unary_float,
    .evaluate = sin_evaluate,
    .element = element_is<ElementKind::sin>,
    .gradient = sin_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sinh;
const Op sinh = {
    .name = "Sinh",
    .infer = infer_unary_float,
    .evaluate = sinh_evaluate,
    .element = element_is<ElementKind::sinh>,
    .gradient = sinh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op tan;
const Op tan = {
    .name = "Tan",
    .infer = infer_unary_float,
    .evaluate = tan_evaluate,
    .element = element_is<ElementKind::tan>,
    .gradient = tan_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
