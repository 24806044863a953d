#pragma once

#include "lib/kernels/norm.h"
#include "lib/ops/lower.h"

namespace espalier {

/// LayerNormalization and RMSNormalization of `dims` over all axes from `axis` on.
NormProblem layer_problem(const Dims& dims, int64_t axis, float epsilon, bool subtract_mean);
/// InstanceNormalization (`num_groups` the channels) and GroupNormalization of [N, C, spatial...].
NormProblem group_problem(const Dims& dims, int64_t num_groups, float epsilon);

/// Output 0 (and the statistics in outputs 1 and 2, where asked) of such a node: inputs x, scale, bias. `parameters` says
/// how many elements scale and bias must have; false where they have others, or nothing is float.
bool lower_norm(LowerContext& context, NormProblem problem);

}  // namespace espalier
