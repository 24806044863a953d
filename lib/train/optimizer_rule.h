#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/train/spec_text.h"

namespace espalier {

inline constexpr size_t kMaxMoments = 2;

/// One piece of one parameter, in whatever layout its memory has; padding holds zeros in all arrays.
struct RuleBlock {
  float* w;                                  ///< parameter, updated in place
  const float* g;                            ///< gradient of the mean loss
  std::array<float*, kMaxMoments> moments;   ///< the rule's own state, zero before the first step
  int64_t n;
};

/// One step, as a rule sees it.
struct StepContext {
  float learning_rate = 0;
  int64_t step = 1;         ///< counts from 1
  float grad_scale = 1;     ///< of gradient clipping
  float l1 = 0, l2 = 0;     ///< coupled: the rule's gradient is grad_scale g + l2 w + l1 sign(w)
  float weight_decay = 0;   ///< decoupled: w shrinks by learning_rate * weight_decay first

  /// The gradient that a rule works with.
  float gradient(float g, float w) const {
    return grad_scale * g + l2 * w + l1 * (static_cast<float>(w > 0) - static_cast<float>(w < 0));
  }
};

/// An optimizer: one rule on one parameter, without state of its own.
/// An elementwise rule keeps zero where parameter, gradient and moments are zero (tested), so it works on padded
/// blocks. All rules of today are elementwise.
struct OptimizerRule {
  std::string_view name;
  std::string_view summary;
  std::span<const Parameter> parameters;
  size_t moments = 0;
  bool elementwise = true;
  double default_learning_rate = 1e-3;
  double default_weight_decay = 0;  ///< decoupled
  void (*apply)(RuleBlock block, StepContext context, const ParameterValues& values) = nullptr;
};

/// All rules, sorted by name.
std::span<const OptimizerRule* const> all_optimizer_rules();
/// Throws Error(usage) naming the rules that there are.
const OptimizerRule& find_optimizer_rule(std::string_view name);

}  // namespace espalier
