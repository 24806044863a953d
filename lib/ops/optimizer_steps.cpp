// Adam, Adagrad and Momentum of ai.onnx.preview.training: one step of an optimizer on several tensors. They are run, not
// trained with: training has its own rules (lib/train).

#include <cmath>

#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

constexpr std::string_view kDomain = "ai.onnx.preview.training";

double attribute(const EvaluateContext& c, const char* name, float otherwise) { return static_cast<double>(c.node().get<float>(name, otherwise)); }

/// Inputs: rate, step, then `kinds` tensors of each parameter (all X, all G, ...); outputs: all but the gradients.
template <size_t kKinds>
void infer(InferContext& c) {
  if (c.input_count() < 2 + kKinds || (c.input_count() - 2) % kKinds != 0) {
    c.fail("has " + std::to_string(c.input_count()) + " inputs, expected 2 and " + std::to_string(kKinds) + " for each tensor");
  }
  c.require_inputs(c.input_count(), c.input_count());
  const size_t n = (c.input_count() - 2) / kKinds;
  if (c.output_count() != n * (kKinds - 1)) c.fail("has " + std::to_string(c.output_count()) + " outputs, expected " + std::to_string(n * (kKinds - 1)));
  for (size_t i = 2; i < c.input_count(); ++i) {
    require_type(c, i, is_float, "a float type");
    require_same_type(c, i, 2 + (i - 2) % n);
    const auto dims = c.type(i).known_dims(), expected = c.type(2 + (i - 2) % n).known_dims();
    if (dims && expected && *dims != *expected) c.fail("input " + std::to_string(i) + " has shape " + to_string(*dims) + ", expected " + to_string(*expected));
  }
  for (size_t o = 0; o < c.output_count(); ++o) c.set(o, c.type(2 + (o < n ? o : o + n)));
}

double scalar(const EvaluateContext& c, size_t i) { return c.input(i).to_doubles().at(0); }

/// Calls step(x, g, moments) for each element of each tensor: x and the moments are changed.
template <size_t kKinds, class F>
void for_each_element(EvaluateContext& c, F step) {
  const size_t n = (c.input_count() - 2) / kKinds;
  for (size_t t = 0; t < n; ++t) {
    std::array<Tensor, kKinds> tensors;
    for (size_t k = 0; k < kKinds; ++k) tensors[k] = c.input(2 + k * n + t).cast(DataType::float64);
    std::array<std::span<double>, kKinds> data;
    for (size_t k = 0; k < kKinds; ++k) data[k] = tensors[k].template mutable_data<double>();
    for (int64_t i = 0; i < tensors[0].size(); ++i) {
      std::array<double*, kKinds> at;
      for (size_t k = 0; k < kKinds; ++k) at[k] = &data[k][i];
      step(at);
    }
    for (size_t k = 0; k < kKinds; ++k) {
      if (k != 1) c.set((k == 0 ? 0 : k - 1) * n + t, tensors[k].cast(c.input(2 + k * n + t).type()));
    }
  }
}

/// v = alpha v + (1 - alpha) g, h = beta h + (1 - beta) g^2, x -= r' v / (sqrt(h) + epsilon), then (1 - post) x; g has the
/// gradient of the penalty added, r' = r sqrt(1 - beta^t) / (1 - alpha^t) for t > 0.
void evaluate_adam(EvaluateContext& c) {
  const double alpha = attribute(c, "alpha", 0.9f), beta = attribute(c, "beta", 0.999f), epsilon = attribute(c, "epsilon", 1e-6f);
  const double norm = attribute(c, "norm_coefficient", 0), post = attribute(c, "norm_coefficient_post", 0);
  const double t = scalar(c, 1);
  const double rate = scalar(c, 0) * (t > 0 ? std::sqrt(1 - std::pow(beta, t)) / (1 - std::pow(alpha, t)) : 1);
  for_each_element<4>(c, [&](const auto& at) {
    const double g = norm * *at[0] + *at[1];
    *at[2] = alpha * *at[2] + (1 - alpha) * g;
    *at[3] = beta * *at[3] + (1 - beta) * g * g;
    *at[0] = (1 - post) * (*at[0] - rate * *at[2] / (std::sqrt(*at[3]) + epsilon));
  });
}

/// h += g^2, x -= r / (1 + t decay) g / (sqrt(h) + epsilon).
void evaluate_adagrad(EvaluateContext& c) {
  const double epsilon = attribute(c, "epsilon", 1e-6f), norm = attribute(c, "norm_coefficient", 0);
  const double rate = scalar(c, 0) / (1 + scalar(c, 1) * attribute(c, "decay_factor", 0));
  for_each_element<3>(c, [&](const auto& at) {
    const double g = norm * *at[0] + *at[1];
    *at[2] += g * g;
    *at[0] -= rate * g / (std::sqrt(*at[2]) + epsilon);
  });
}

void infer_momentum(InferContext& c) {
  infer<3>(c);
  const auto mode = c.node().require<std::string>("mode");
  if (mode != "standard" && mode != "nesterov") c.fail("mode is '" + mode + "', expected standard or nesterov");
}

/// v = alpha v + beta g (beta is 1 at step 0), x -= r v, or r (g + alpha v) as Nesterov.
void evaluate_momentum(EvaluateContext& c) {
  const double alpha = static_cast<double>(c.node().require<float>("alpha")), norm = attribute(c, "norm_coefficient", 0);
  const double beta = scalar(c, 1) > 0 ? static_cast<double>(c.node().require<float>("beta")) : 1, rate = scalar(c, 0);
  const bool nesterov = c.node().require<std::string>("mode") == "nesterov";
  for_each_element<3>(c, [&](const auto& at) {
    const double g = norm * *at[0] + *at[1];
    *at[2] = alpha * *at[2] + beta * g;
    *at[0] -= rate * (nesterov ? g + alpha * *at[2] : *at[2]);
  });
}

}  // namespace

extern const Op adagrad;
const Op adagrad = {.name = "Adagrad", .domain = kDomain, .infer = infer<3>, .evaluate = evaluate_adagrad};
extern const Op adam;
const Op adam = {.name = "Adam", .domain = kDomain, .infer = infer<4>, .evaluate = evaluate_adam};
extern const Op momentum;
const Op momentum = {.name = "Momentum", .domain = kDomain, .infer = infer_momentum, .evaluate = evaluate_momentum};

}  // namespace espalier::ops
