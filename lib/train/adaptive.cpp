#include "lib/train/adaptive.h"

#include <cmath>

namespace espalier {
namespace {

void adagrad(RuleBlock b, StepContext c, const ParameterValues& values) {
  const auto eps = static_cast<float>(values.at("eps"));
  const float keep = 1 - c.learning_rate * c.weight_decay;
  float* __restrict s = b.moments[0];
  for (int64_t i = 0; i < b.n; ++i) {
    const float g = c.gradient(b.g[i], b.w[i]);
    s[i] += g * g;
    b.w[i] = keep * b.w[i] - c.learning_rate * g / (std::sqrt(s[i]) + eps);
  }
}

void rmsprop(RuleBlock b, StepContext c, const ParameterValues& values) {
  const auto alpha = static_cast<float>(values.at("alpha")), mu = static_cast<float>(values.at("mu"));
  const auto eps = static_cast<float>(values.at("eps"));
  const float keep = 1 - c.learning_rate * c.weight_decay;
  float* __restrict s = b.moments[0];
  float* __restrict u = b.moments[1];
  for (int64_t i = 0; i < b.n; ++i) {
    const float g = c.gradient(b.g[i], b.w[i]);
    s[i] = alpha * s[i] + (1 - alpha) * g * g;
    u[i] = mu * u[i] + g / (std::sqrt(s[i]) + eps);
    b.w[i] = keep * b.w[i] - c.learning_rate * u[i];
  }
}

constexpr Parameter kAdagradParameters[] = {{"eps", 1e-10, 1e-16, 1, "added to the root, so that nothing is divided by 0"}};
constexpr Parameter kRmspropParameters[] = {
    {"alpha", 0.99, 0, 0.999999, "decay of the mean square"},
    {"mu", 0, 0, 0.9999, "momentum"},
    {"eps", 1e-8, 1e-16, 1, "added to the root, so that nothing is divided by 0"},
};

}  // namespace

const OptimizerRule kAdagrad = {.name = "adagrad", .summary = "steps shrink with the sum of squared gradients",
                                .parameters = kAdagradParameters, .moments = 1, .default_learning_rate = 1e-2, .apply = adagrad};
const OptimizerRule kRmsprop = {.name = "rmsprop", .summary = "steps shrink with the mean of squared gradients",
                                .parameters = kRmspropParameters, .moments = 2, .default_learning_rate = 1e-3, .apply = rmsprop};

}  // namespace espalier
