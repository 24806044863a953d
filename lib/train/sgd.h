#pragma once

#include "lib/train/optimizer_rule.h"

namespace espalier {

/// Stochastic gradient descent, g as in StepContext.
///
///     sgd:       w -= lr g
///     momentum:  v = mu v + (1 - dampening) g;  w -= lr v      (`averaged=1` is dampening = mu: v is a running mean)
///     nesterov:  v = mu v + g;                  w -= lr (g + mu v)
///
/// v starts at 0, so that a dampened first step is (1 - dampening) g; PyTorch leaves the first one undampened.
/// Source: Polyak 1964; Nesterov 1983 in the form of Sutskever et al. 2013 as PyTorch's SGD has it.
extern const OptimizerRule kSgd, kMomentum, kNesterov;

}  // namespace espalier
