#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Runs fuse-pad, fuse-gemm, fuse-batch-norm, fuse-affine and remove-dead-code in turn until none of them changes anything.
/// The last pass before a model is exported: what it makes is faster to run and harder to train.
extern const Pass fuse;

}  // namespace espalier::passes
