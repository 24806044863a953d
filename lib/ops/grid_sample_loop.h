#pragma once

#include "lib/ops/lower.h"

namespace espalier {

// Fast steps of GridSample and its gradient on plain floats with one to three spatial axes. False for all else.

bool lower_grid_sample(LowerContext& context);
/// Inputs (dy, x, grid); outputs dx and, where asked, dgrid.
bool lower_grid_sample_grad(LowerContext& context);

}  // namespace espalier
