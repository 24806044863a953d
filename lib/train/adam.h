#pragma once

#include "lib/train/optimizer_rule.h"

namespace espalier {

/// Adam and AdamW, g as in StepContext, t the step from 1.
///
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     adam:   w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
///             with correct=0:  w -= lr m / (sqrt(v) + eps)
///     adamw:  the same after w -= lr weight_decay w (0.01 by default)
///
/// Source: Kingma and Ba 2015 (algorithm 1; correct=0 leaves its bias correction out); Loshchilov and Hutter 2019.
extern const OptimizerRule kAdam, kAdamW;

}  // namespace espalier
