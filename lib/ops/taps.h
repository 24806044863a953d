#pragma once

#include <vector>

#include "lib/graph/node.h"
#include "lib/tensor/shape.h"

namespace espalier {

/// A window that slides over spatial axes, all sizes resolved.
struct WindowGeometry {
  Dims in, kernel, out;
  Dims strides, dilations;
  Dims begin, end;  ///< padding before and after each axis
};

/// Geometry of a Conv or pooling node whose sizes are known: `strides`, `dilations`, `pads` and `auto_pad` of `node` (or of
/// its gradient, which carries the same). Padding of SAME_UPPER and SAME_LOWER follows from `in` and `out`.
WindowGeometry window_geometry(const Node& node, const Dims& in, const Dims& kernel, const Dims& out);

/// One product of the window: flat positions in the output, the kernel and the input.
struct Tap {
  int64_t out, kernel, in;
};

/// Every tap that falls inside the input, ordered by output and then by kernel position.
std::vector<Tap> taps(const WindowGeometry& window);

}  // namespace espalier
