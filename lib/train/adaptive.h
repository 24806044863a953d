#pragma once

#include "lib/train/optimizer_rule.h"

namespace espalier {

/// Rules that divide by the size of past gradients, g as in StepContext.
///
///     adagrad:  s += g^2;                                w -= lr g / (sqrt(s) + eps)
///     rmsprop:  s = alpha s + (1 - alpha) g^2;  d = g / (sqrt(s) + eps);  u = mu u + d;  w -= lr u
///
/// Source: Duchi et al. 2011; Tieleman and Hinton 2012 with momentum as PyTorch's RMSprop has it.
extern const OptimizerRule kAdagrad, kRmsprop;

}  // namespace espalier
