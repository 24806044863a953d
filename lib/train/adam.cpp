#include "lib/train/adam.h"

#include <cmath>

namespace espalier {
namespace {

void adam(RuleBlock b, StepContext c, const ParameterValues& values) {
  const double beta1 = values.at("beta1"), beta2 = values.at("beta2");
  const bool correct = values.at("correct") != 0;
  const auto t = static_cast<double>(c.step);
  // sqrt(v / k2) + eps = (sqrt(v) + eps sqrt(k2)) / sqrt(k2): one division an element.
  const double k1 = correct ? 1 - std::pow(beta1, t) : 1, root2 = correct ? std::sqrt(1 - std::pow(beta2, t)) : 1;
  const auto rate = static_cast<float>(c.learning_rate * root2 / k1);
  const auto eps = static_cast<float>(values.at("eps") * root2);
  const auto keep1 = static_cast<float>(beta1), take1 = static_cast<float>(1 - beta1);
  const auto keep2 = static_cast<float>(beta2), take2 = static_cast<float>(1 - beta2);
  const float keep = 1 - c.learning_rate * c.weight_decay;
  float* __restrict m = b.moments[0];
  float* __restrict v = b.moments[1];
  for (int64_t i = 0; i < b.n; ++i) {
    const float g = c.gradient(b.g[i], b.w[i]);
    m[i] = keep1 * m[i] + take1 * g;
    v[i] = keep2 * v[i] + take2 * g * g;
    b.w[i] = keep * b.w[i] - rate * m[i] / (std::sqrt(v[i]) + eps);
  }
}

constexpr Parameter kParameters[] = {
    {"beta1", 0.9, 0, 0.9999, "decay of the mean gradient"},
    {"beta2", 0.999, 0, 0.999999, "decay of the mean square"},
    {"eps", 1e-8, 1e-16, 1, "added to the root, so that nothing is divided by 0"},
    {"correct", 1, 0, 1, "0: without bias correction"},
};

}  // namespace

const OptimizerRule kAdam = {.name = "adam", .summary = "Adam, with or without bias correction", .parameters = kParameters,
                             .moments = 2, .default_learning_rate = 1e-3, .apply = adam};
const OptimizerRule kAdamW = {.name = "adamw", .summary = "Adam with decoupled weight decay", .parameters = kParameters,
                              .moments = 2, .default_learning_rate = 1e-3, .default_weight_decay = 0.01, .apply = adam};

}  // namespace espalier
