#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Runs lift-constants, fold-constants, remove-identities, merge-reshapes, merge-duplicates and remove-dead-code in turn
/// until none of them changes anything. A second run changes nothing. Never folds BatchNormalization into weights, for pruning
/// and training want it: that is `fuse`.
extern const Pass simplify;

}  // namespace espalier::passes
