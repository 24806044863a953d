// Trigonometric and hyperbolic functions. Tanh is an activation.

#include <cmath>

#include "lib/ops/elementwise.h"

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

}  // namespace

extern const Op acos;
const Op acos = {
    .name = "Acos",
    .infer = infer_unary_float,
    .evaluate = acos_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op acosh;
const Op acosh = {
    .name = "Acosh",
    .infer = infer_unary_float,
    .evaluate = acosh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op asin;
const Op asin = {
    .name = "Asin",
    .infer = infer_unary_float,
    .evaluate = asin_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op asinh;
const Op asinh = {
    .name = "Asinh",
    .infer = infer_unary_float,
    .evaluate = asinh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op atan;
const Op atan = {
    .name = "Atan",
    .infer = infer_unary_float,
    .evaluate = atan_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op atanh;
const Op atanh = {
    .name = "Atanh",
    .infer = infer_unary_float,
    .evaluate = atanh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op cos;
const Op cos = {
    .name = "Cos",
    .infer = infer_unary_float,
    .evaluate = cos_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op cosh;
const Op cosh = {
    .name = "Cosh",
    .infer = infer_unary_float,
    .evaluate = cosh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sin;
const Op sin = {
    .name = "Sin",
    .infer = infer_unary_float,
    .evaluate = sin_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sinh;
const Op sinh = {
    .name = "Sinh",
    .infer = infer_unary_float,
    .evaluate = sinh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op tan;
const Op tan = {
    .name = "Tan",
    .infer = infer_unary_float,
    .evaluate = tan_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
