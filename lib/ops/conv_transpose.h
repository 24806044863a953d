#pragma once

#include <optional>

#include "lib/kernels/conv.h"
#include "lib/ops/lower.h"
#include "lib/ops/window.h"

namespace espalier {

/// Sizes of a ConvTranspose's output, and the window of the convolution from y to x that it is the transpose of.
struct TransposeGeometry {
  Window window;      ///< auto_pad and output_shape resolved into pads; pads_end may not say how far y reaches
  SymbolicDims out;   ///< spatial
};

/// x: spatial sizes of the input; kernel: those of the weight. Source: ONNX ConvTranspose-11.
/// Throws Error(bad_data) for a wrong length of output_shape or output_padding.
TransposeGeometry transpose_geometry(const Node& node, const SymbolicDims& x, const std::optional<Dims>& kernel);

/// That convolution, y -> x with weights [C, M/group, kernel...], for the fast path; nothing where oneDNN cannot say it
/// (padding beyond y, more than three spatial axes, another type, something empty).
std::optional<ConvProblem> transpose_problem(const Node& node, DataType type, const Dims& x, const Dims& w, const Dims& y);

}  // namespace espalier
