// Activations of one input that are a formula and at most two attributes. Relu, Clip, PRelu and Gelu have their own files.

#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr float kSeluAlpha = 1.67326319217681884765625f, kSeluGamma = 1.05070102214813232421875f;

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
  const double alpha = attribute(c, "alpha", kSeluAlpha);
  const double gamma = attribute(c, "gamma", kSeluGamma);
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

std::vector<Attribute> alpha_of(const GradientContext& c, float otherwise) {
  return {{"alpha", c.node().get<float>("alpha", otherwise), {}}};
}

void sigmoid_gradient(GradientContext& c) { c.set_grad(0, c.add("SigmoidGrad", {c.output(), c.grad_output()})); }
void tanh_gradient(GradientContext& c) { c.set_grad(0, c.add("TanhGrad", {c.output(), c.grad_output()})); }

void leaky_relu_gradient(GradientContext& c) {
  c.set_grad(0, c.add("LeakyReluGrad", {c.input(0), c.grad_output()}, alpha_of(c, 0.01f)));
}

void hard_sigmoid_gradient(GradientContext& c) {
  c.set_grad(0, c.add("HardSigmoidGrad", {c.output(), c.grad_output()}, alpha_of(c, 0.2f)));
}

void hard_swish_gradient(GradientContext& c) { c.set_grad(0, c.add("HardSwishGrad", {c.input(0), c.grad_output()})); }

void softplus_gradient(GradientContext& c) {
  c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Sigmoid", {c.input(0)})}));
}

/// dy / (1 + |x|)^2.
void softsign_gradient(GradientContext& c) {
  const ValueId size = c.add("Add", {c.add("Abs", {c.input(0)}), c.scalar(1, c.input(0))});
  c.set_grad(0, c.add("Div", {c.grad_output(), c.add("Mul", {size, size})}));
}

/// Through EluGrad(x, dy): x > 0 ? dy : alpha beta exp(beta x) dy.
ValueId exponential_gradient(GradientContext& c, float alpha, float beta) {
  return c.add("EluGrad", {c.input(0), c.grad_output()}, {{"alpha", alpha, {}}, {"beta", beta, {}}});
}

void elu_gradient(GradientContext& c) { c.set_grad(0, exponential_gradient(c, c.node().get<float>("alpha", 1.0f), 1)); }

void celu_gradient(GradientContext& c) {
  const float alpha = c.node().get<float>("alpha", 1.0f);
  c.set_grad(0, exponential_gradient(c, alpha, 1 / alpha));
}

void selu_gradient(GradientContext& c) {
  const ValueId slope = exponential_gradient(c, c.node().get<float>("alpha", kSeluAlpha), 1);
  const auto gamma = static_cast<double>(c.node().get<float>("gamma", kSeluGamma));
  c.set_grad(0, c.add("Mul", {slope, c.scalar(gamma, c.output())}));
}

void thresholded_relu_gradient(GradientContext& c) {
  c.set_grad(0, c.add("ThresholdedReluGrad", {c.input(0), c.grad_output()}, alpha_of(c, 1.0f)));
}

/// With t = tanh(softplus(x)): t + x * (1 - t^2) * sigmoid(x).
void mish_gradient(GradientContext& c) {
  const ValueId x = c.input(0);
  const ValueId t = c.add("Tanh", {c.add("Softplus", {x})});
  const ValueId curve = c.add("Sub", {c.scalar(1, x), c.add("Mul", {t, t})});
  const ValueId rest = c.add("Mul", {c.add("Mul", {x, curve}), c.add("Sigmoid", {x})});
  c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Add", {t, rest})}));
}

std::optional<ElementOp> leaky_relu_element(const InferContext& c) {
  return ElementOp{ElementKind::leaky_relu, c.node().get<float>("alpha", 0.01f), 0};
}

std::optional<ElementOp> elu_element(const InferContext& c) {
  return ElementOp{ElementKind::elu, c.node().get<float>("alpha", 1.0f), 1};
}

std::optional<ElementOp> celu_element(const InferContext& c) {
  const float alpha = c.node().get<float>("alpha", 1.0f);
  return ElementOp{ElementKind::elu, alpha, 1 / alpha};
}

std::optional<ElementOp> selu_element(const InferContext& c) {
  return ElementOp{ElementKind::selu, c.node().get<float>("alpha", kSeluAlpha), c.node().get<float>("gamma", kSeluGamma)};
}

std::optional<ElementOp> thresholded_relu_element(const InferContext& c) {
  return ElementOp{ElementKind::thresholded_relu, c.node().get<float>("alpha", 1.0f), 0};
}

std::optional<ElementOp> hard_sigmoid_element(const InferContext& c) {
  return ElementOp{ElementKind::hard_sigmoid, c.node().get<float>("alpha", 0.2f), c.node().get<float>("beta", 0.5f)};
}

}  // namespace

extern const Op sigmoid;
const Op sigmoid = {
    .name = "Sigmoid",
    .infer = infer_unary_float,
    .evaluate = sigmoid_evaluate,
    .element = element_is<ElementKind::sigmoid>,
    .gradient = sigmoid_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op tanh;
const Op tanh = {
    .name = "Tanh",
    .infer = infer_unary_float,
    .evaluate = tanh_evaluate,
    .element = element_is<ElementKind::tanh>,
    .gradient = tanh_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op leaky_relu;
const Op leaky_relu = {
    .name = "LeakyRelu",
    .infer = infer_unary_float,
    .evaluate = leaky_relu_evaluate,
    .element = leaky_relu_element,
    .gradient = leaky_relu_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op hard_sigmoid;
const Op hard_sigmoid = {
    .name = "HardSigmoid",
    .infer = infer_unary_float,
    .evaluate = hard_sigmoid_evaluate,
    .element = hard_sigmoid_element,
    .gradient = hard_sigmoid_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op hard_swish;
const Op hard_swish = {
    .name = "HardSwish",
    .infer = infer_unary_float,
    .evaluate = hard_swish_evaluate,
    .element = element_is<ElementKind::hard_swish>,
    .gradient = hard_swish_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op elu;
const Op elu = {
    .name = "Elu",
    .infer = infer_unary_float,
    .evaluate = elu_evaluate,
    .element = elu_element,
    .gradient = elu_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op selu;
const Op selu = {
    .name = "Selu",
    .infer = infer_unary_float,
    .evaluate = selu_evaluate,
    .element = selu_element,
    .gradient = selu_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op celu;
const Op celu = {
    .name = "Celu",
    .infer = infer_unary_float,
    .evaluate = celu_evaluate,
    .element = celu_element,
    .gradient = celu_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op softplus;
const Op softplus = {
    .name = "Softplus",
    .infer = infer_unary_float,
    .evaluate = softplus_evaluate,
    .element = element_is<ElementKind::softplus>,
    .gradient = softplus_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op softsign;
const Op softsign = {
    .name = "Softsign",
    .infer = infer_unary_float,
    .evaluate = softsign_evaluate,
    .element = element_is<ElementKind::softsign>,
    .gradient = softsign_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op thresholded_relu;
const Op thresholded_relu = {
    .name = "ThresholdedRelu",
    .infer = infer_unary_float,
    .evaluate = thresholded_relu_evaluate,
    .element = thresholded_relu_element,
    .gradient = thresholded_relu_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op mish;
const Op mish = {
    .name = "Mish",
    .infer = infer_unary_float,
    .evaluate = mish_evaluate,
    .element = element_is<ElementKind::mish>,
    .gradient = mish_gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
