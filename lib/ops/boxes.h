#pragma once

#include <vector>

#include "lib/ops/lower.h"

namespace espalier {

// Fast steps of ops that cut a float tensor into boxes or put it together from boxes (Split, Slice, Concat, Pad and their
// gradients). Blocked layouts are kept where every cut along the channels falls on a block, else the steps are plain.

/// A part of a tensor: where it begins.
struct Box {
  size_t index;  ///< of the output (cut) or input (join)
  Dims offsets;
};

/// Each output in `boxes` is a box of the input. False where the type is not float or a size is 0.
bool lower_cut(LowerContext& context, size_t input, const std::vector<Box>& boxes);
/// Output 0 consists of boxes, each an input; what no box covers is `fill`. False as above.
bool lower_join(LowerContext& context, const std::vector<Box>& boxes, float fill);

}  // namespace espalier
