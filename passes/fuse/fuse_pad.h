#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// A Pad with zeros goes into the pads of the Conv after it.
///
///     p = Pad(x, {0,0,1,1,0,0,1,1})          ->     y = Conv(x, w) {pads = [1,1,1,1]}
///     y = Conv(p, w)
///
/// Legal for constant mode, value 0, no negative pad, none on batch and channel, and explicit pads of the Conv. Other
/// readers of p keep the Pad. Gains a copy of the input.
extern const Pass fuse_pad;

}  // namespace espalier::passes
