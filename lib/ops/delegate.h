#pragma once

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier {

// An op that is another one on changed operands (ConvInteger is Conv on numbers less their zero points) asks that one.

/// Output 0 as `op` infers it from these operands and the node's attributes. Throws what `op` throws, in the node's name.
Type infer_as(const InferContext& c, const Op& op, const std::vector<Type>& inputs);

/// Output 0 as `op` calculates it from these operands and the node's attributes.
Tensor evaluate_as(const EvaluateContext& c, const Op& op, const std::vector<Tensor>& inputs);

}  // namespace espalier
