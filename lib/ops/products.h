#pragma once

#include <optional>

#include "lib/ops/lower.h"

namespace espalier {

// Fast steps of matrix products: Gemm, MatMul and their gradients.

/// Output 0 = input 0, [..., K], times the weight matrix in input 1 (stored [K, O] where `transposed`, else [O, K]), plus the
/// bias in input 2, or an absorbed one: a fully connected layer, whose source may lie blocked where it is a matrix.
bool lower_layer(LowerContext& context, bool transposed);

/// What is added to a product: beta times an input that broadcasts to it.
struct Addend {
  size_t input;
  float beta = 1;
};

/// Output 0 = alpha times the product of two plain matrices, each transposed first where it says so, plus the addend.
bool lower_product(LowerContext& context, size_t a, bool transpose_a, size_t b, bool transpose_b, float alpha = 1,
                   std::optional<Addend> addend = std::nullopt);

}  // namespace espalier
