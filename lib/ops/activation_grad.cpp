#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(1).has_rank() ? c.type(1) : c.type(0));
}

/// dx = slope(v) * dy, where v is the forward's input or output.
template <class Slope>
void scale_by(EvaluateContext& c, Slope&& slope) {
  const Tensor v = c.input(0).cast(DataType::float64), dy = c.input(1).cast(DataType::float64);
  if (v.size() != dy.size()) c.fail("inputs have " + to_string(v.dims()) + " and " + to_string(dy.dims()) + ", expected the same");
  Tensor dx(DataType::float64, v.dims());
  const auto from = v.data<double>(), grad = dy.data<double>();
  const auto to = dx.mutable_data<double>();
  parallel_for(v.size(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = slope(from[i]) * grad[i];
  });
  c.set(0, dx.cast(c.input(1).type()));
}

void relu(EvaluateContext& c) {
  scale_by(c, [](double y) { return y > 0 ? 1.0 : 0.0; });
}

void leaky_relu(EvaluateContext& c) {
  const double alpha = c.node().get<float>("alpha", 0.01f);
  scale_by(c, [=](double x) { return x > 0 ? 1.0 : alpha; });
}

void clip(EvaluateContext& c) {
  const float min = c.node().get<float>("min", -std::numeric_limits<float>::infinity());
  const float max = c.node().get<float>("max", std::numeric_limits<float>::infinity());
  scale_by(c, [=](double y) {
    const auto rounded = static_cast<float>(y);
    return rounded > min && rounded < max ? 1.0 : 0.0;
  });
}

void sigmoid(EvaluateContext& c) {
  scale_by(c, [](double y) { return y * (1 - y); });
}

void tanh_(EvaluateContext& c) {
  scale_by(c, [](double y) { return 1 - y * y; });
}

void hard_sigmoid(EvaluateContext& c) {
  const double alpha = c.node().get<float>("alpha", 0.2f);
  scale_by(c, [=](double y) { return y > 0 && y < 1 ? alpha : 0.0; });
}

void hard_swish(EvaluateContext& c) {
  scale_by(c, [](double x) { return x <= -3 ? 0.0 : x >= 3 ? 1.0 : x / 3 + 0.5; });
}

void elu(EvaluateContext& c) {
  const double alpha = c.node().get<float>("alpha", 1.0f), beta = c.node().get<float>("beta", 1.0f);
  scale_by(c, [=](double x) { return x > 0 ? 1.0 : alpha * beta * std::exp(beta * x); });
}

void thresholded_relu(EvaluateContext& c) {
  const double alpha = c.node().get<float>("alpha", 1.0f);
  scale_by(c, [=](double x) { return x > alpha ? 1.0 : 0.0; });
}

/// Phi(x) + x Phi'(x).
double gelu_slope(double x) {
  const double phi = 0.5 + 0.5 * std::erf(x / std::numbers::sqrt2);
  return phi + x * std::exp(-0.5 * x * x) * 0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2;
}

/// The same with Phi(x) = (1 + tanh(u)) / 2, u = sqrt(2/pi) (x + 0.044715 x^3).
double gelu_tanh_slope(double x) {
  const double scale = std::sqrt(2 / std::numbers::pi), t = std::tanh(scale * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x);
}

bool by_tanh(const Node& node) { return node.get<std::string>("approximate", "none") == "tanh"; }

void gelu(EvaluateContext& c) { scale_by(c, by_tanh(c.node()) ? gelu_tanh_slope : gelu_slope); }

std::optional<ElementOp> gelu_element(const InferContext& c) {
  return ElementOp{by_tanh(c.node()) ? ElementKind::gelu_tanh_grad : ElementKind::gelu_grad};
}

std::optional<ElementOp> elu_element(const InferContext& c) {
  return ElementOp{ElementKind::elu_grad, c.node().get<float>("alpha", 1.0f), c.node().get<float>("beta", 1.0f)};
}

std::optional<ElementOp> thresholded_relu_element(const InferContext& c) {
  return ElementOp{ElementKind::thresholded_relu_grad, c.node().get<float>("alpha", 1.0f), 0};
}

template <ElementKind kKind>
std::optional<ElementOp> element(const InferContext& c) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const Node& node = c.node();
  if (kKind == ElementKind::clip_grad) return ElementOp{kKind, node.get<float>("min", -kInfinite), node.get<float>("max", kInfinite)};
  return ElementOp{kKind, node.get<float>("alpha", kKind == ElementKind::leaky_relu_grad ? 0.01f : 0.2f), 0};
}

using Element = std::optional<ElementOp> (*)(const InferContext&);

constexpr Op element_grad(std::string_view name, void (*evaluate)(EvaluateContext&), Element element) {
  return {.name = name,
          .domain = kInternalDomain,
          .infer = infer,
          .evaluate = evaluate,
          .element = element,
          .elementwise = true};
}

}  // namespace

extern const Op relu_grad, leaky_relu_grad, clip_grad, sigmoid_grad, tanh_grad, hard_sigmoid_grad, hard_swish_grad,
    elu_grad, gelu_grad, thresholded_relu_grad;

/// ReluGrad(y, dy), from the output.
const Op relu_grad = element_grad("ReluGrad", relu, element<ElementKind::relu_grad>);
/// LeakyReluGrad(x, dy) {alpha}.
const Op leaky_relu_grad = element_grad("LeakyReluGrad", leaky_relu, element<ElementKind::leaky_relu_grad>);
/// ClipGrad(y, dy) {min, max}, from the output: passes where min < y < max.
const Op clip_grad = element_grad("ClipGrad", clip, element<ElementKind::clip_grad>);
/// SigmoidGrad(y, dy), from the output.
const Op sigmoid_grad = element_grad("SigmoidGrad", sigmoid, element<ElementKind::sigmoid_grad>);
/// TanhGrad(y, dy), from the output.
const Op tanh_grad = element_grad("TanhGrad", tanh_, element<ElementKind::tanh_grad>);
/// HardSigmoidGrad(y, dy) {alpha}, from the output.
const Op hard_sigmoid_grad = element_grad("HardSigmoidGrad", hard_sigmoid, element<ElementKind::hard_sigmoid_grad>);
/// HardSwishGrad(x, dy).
const Op hard_swish_grad = element_grad("HardSwishGrad", hard_swish, element<ElementKind::hard_swish_grad>);

/// EluGrad(x, dy) {alpha, beta}: x > 0 ? dy : alpha beta exp(beta x) dy.
const Op elu_grad = element_grad("EluGrad", elu, elu_element);
/// GeluGrad(x, dy) {approximate}.
const Op gelu_grad = element_grad("GeluGrad", gelu, gelu_element);
/// ThresholdedReluGrad(x, dy) {alpha}: x > alpha ? dy : 0.
const Op thresholded_relu_grad = element_grad("ThresholdedReluGrad", thresholded_relu, thresholded_relu_element);

}  // namespace espalier::ops
