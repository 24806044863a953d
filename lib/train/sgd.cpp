#include "lib/train/sgd.h"

namespace espalier {
namespace {

void sgd(RuleBlock b, StepContext c, const ParameterValues&) {
  const float keep = 1 - c.learning_rate * c.weight_decay;
  for (int64_t i = 0; i < b.n; ++i) b.w[i] = keep * b.w[i] - c.learning_rate * c.gradient(b.g[i], b.w[i]);
}

void momentum(RuleBlock b, StepContext c, const ParameterValues& values) {
  const auto mu = static_cast<float>(values.at("mu"));
  const float take = values.at("averaged") != 0 ? 1 - mu : 1 - static_cast<float>(values.at("dampening"));
  const float keep = 1 - c.learning_rate * c.weight_decay;
  float* __restrict v = b.moments[0];
  for (int64_t i = 0; i < b.n; ++i) {
    v[i] = mu * v[i] + take * c.gradient(b.g[i], b.w[i]);
    b.w[i] = keep * b.w[i] - c.learning_rate * v[i];
  }
}

void nesterov(RuleBlock b, StepContext c, const ParameterValues& values) {
  const auto mu = static_cast<float>(values.at("mu"));
  const float keep = 1 - c.learning_rate * c.weight_decay;
  float* __restrict v = b.moments[0];
  for (int64_t i = 0; i < b.n; ++i) {
    const float g = c.gradient(b.g[i], b.w[i]);
    v[i] = mu * v[i] + g;
    b.w[i] = keep * b.w[i] - c.learning_rate * (g + mu * v[i]);
  }
}

constexpr Parameter kMomentumParameters[] = {
    {"mu", 0.9, 0, 0.9999, "share of the velocity that stays"},
    {"dampening", 0, 0, 1, "share of the gradient that is left out"},
    {"averaged", 0, 0, 1, "1: dampening = mu, the velocity is a running mean"},
};
constexpr Parameter kNesterovParameters[] = {{"mu", 0.9, 0, 0.9999, "share of the velocity that stays"}};

}  // namespace

const OptimizerRule kSgd = {.name = "sgd", .summary = "stochastic gradient descent", .parameters = {}, .moments = 0,
                            .default_learning_rate = 1e-2, .apply = sgd};
const OptimizerRule kMomentum = {.name = "momentum", .summary = "SGD with momentum, classical or averaged",
                                 .parameters = kMomentumParameters, .moments = 1, .default_learning_rate = 1e-2, .apply = momentum};
const OptimizerRule kNesterov = {.name = "nesterov", .summary = "SGD with Nesterov's momentum", .parameters = kNesterovParameters,
                                 .moments = 1, .default_learning_rate = 1e-2, .apply = nesterov};

}  // namespace espalier
