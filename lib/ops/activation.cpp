// Activations of one input that are a formula and at most two attributes. Relu, Clip, PRelu and Gelu have their own files.

#include <cmath>

#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

/// Attribute as a double, where the element type is double, or a float.
double attribute(const EvaluateContext& c, const char* name, float otherwise) {
  return static_cast<double>(c.node().get<float>(name, otherwise));
}

template <class V>
V sigmoid_of(V v) {
  const V e = std::exp(-std::abs(v));
  return v >= 0 ? 1 / (1 + e) : e / (1 + e);
}

template <class V>
V softplus_of(V v) {
  return std::max(v, V(0)) + std::log1p(std::exp(-std::abs(v)));
}

template <class V>
V hard_sigmoid_of(V v, double alpha, double beta) {
  return std::max(V(0), std::min(V(1), static_cast<V>(alpha) * v + static_cast<V>(beta)));
}

void sigmoid_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return sigmoid_of(v); });
}

void tanh_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return std::tanh(v); });
}

void leaky_relu_evaluate(EvaluateContext& c) {
  map_float(c, [alpha = attribute(c, "alpha", 0.01f)](auto v) { return v < 0 ? static_cast<decltype(v)>(alpha) * v : v; });
}

void hard_sigmoid_evaluate(EvaluateContext& c) {
  map_float(c, [alpha = attribute(c, "alpha", 0.2f), beta = attribute(c, "beta", 0.5f)](auto v) {
    return hard_sigmoid_of(v, alpha, beta);
  });
}

void hard_swish_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return v * hard_sigmoid_of(v, 1.0 / 6, 0.5); });
}

void elu_evaluate(EvaluateContext& c) {
  map_float(c, [alpha = attribute(c, "alpha", 1.0f)](auto v) { return v < 0 ? static_cast<decltype(v)>(alpha) * std::expm1(v) : v; });
}

void selu_evaluate(EvaluateContext& c) {
  const double alpha = attribute(c, "alpha", 1.67326319217681884765625f);
  const double gamma = attribute(c, "gamma", 1.05070102214813232421875f);
  map_float(c, [=](auto v) {
    using V = decltype(v);
    return static_cast<V>(gamma) * (v > 0 ? v : static_cast<V>(alpha) * std::expm1(v));
  });
}

void celu_evaluate(EvaluateContext& c) {
  map_float(c, [alpha = attribute(c, "alpha", 1.0f)](auto v) {
    const auto a = static_cast<decltype(v)>(alpha);
    return v < 0 ? a * std::expm1(v / a) : v;
  });
}

void softplus_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return softplus_of(v); });
}

void softsign_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return v / (1 + std::abs(v)); });
}

void thresholded_relu_evaluate(EvaluateContext& c) {
  map_float(c, [alpha = attribute(c, "alpha", 1.0f)](auto v) { return v > static_cast<decltype(v)>(alpha) ? v : decltype(v)(0); });
}

void mish_evaluate(EvaluateContext& c) {
  map_float(c, [](auto v) { return v * std::tanh(softplus_of(v)); });
}

}  // namespace

extern const Op sigmoid;
const Op sigmoid = {
    .name = "Sigmoid",
    .infer = infer_unary_float,
    .evaluate = sigmoid_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op tanh;
const Op tanh = {
    .name = "Tanh",
    .infer = infer_unary_float,
    .evaluate = tanh_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op leaky_relu;
const Op leaky_relu = {
    .name = "LeakyRelu",
    .infer = infer_unary_float,
    .evaluate = leaky_relu_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op hard_sigmoid;
const Op hard_sigmoid = {
    .name = "HardSigmoid",
    .infer = infer_unary_float,
    .evaluate = hard_sigmoid_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op hard_swish;
const Op hard_swish = {
    .name = "HardSwish",
    .infer = infer_unary_float,
    .evaluate = hard_swish_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op elu;
const Op elu = {
    .name = "Elu",
    .infer = infer_unary_float,
    .evaluate = elu_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op selu;
const Op selu = {
    .name = "Selu",
    .infer = infer_unary_float,
    .evaluate = selu_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op celu;
const Op celu = {
    .name = "Celu",
    .infer = infer_unary_float,
    .evaluate = celu_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op softplus;
const Op softplus = {
    .name = "Softplus",
    .infer = infer_unary_float,
    .evaluate = softplus_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op softsign;
const Op softsign = {
    .name = "Softsign",
    .infer = infer_unary_float,
    .evaluate = softsign_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op thresholded_relu;
const Op thresholded_relu = {
    .name = "ThresholdedRelu",
    .infer = infer_unary_float,
    .evaluate = thresholded_relu_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op mish;
const Op mish = {
    .name = "Mish",
    .infer = infer_unary_float,
    .evaluate = mish_evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
