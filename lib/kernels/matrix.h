#pragma once

#include <vector>

#include "lib/kernels/element.h"
#include "lib/kernels/kernel.h"

namespace espalier {

/// y = x W + b with a weight matrix: a fully connected layer. The source may lie blocked with spatial axes.
struct InnerProductProblem {
  Dims src;                    ///< [N, K] or [N, C, spatial...], as the source lies
  Dims weights;                ///< [O, K] or, transposed, [K, O]: as the parameter is stored
  bool weights_transposed = false;  ///< stored as [K, O]
  bool bias = false;           ///< [O]
  std::vector<ElementOp> activations;
  bool training = false;

  int64_t outputs() const { return weights[weights_transposed ? 1 : 0]; }
};

/// Arguments: src, weights (a layout of the stored matrix, axes of src's channels split), [bias], dst [N, O].
Primitive inner_product_forward(const InnerProductProblem& problem, const Layout& src);
/// Arguments: diff_dst [N, O], weights, diff_src (as `diff_src` is wanted).
Primitive inner_product_backward_data(const InnerProductProblem& problem, const ForwardHint& forward,
                                      const Layout& diff_dst, const Layout& diff_src);
/// Arguments: src, diff_dst, diff_weights, [diff_bias].
Primitive inner_product_backward_weights(const InnerProductProblem& problem, const ForwardHint& forward,
                                         const Layout& src, const Layout& diff_dst);

/// Batched matrix product, c = alpha * a b [+ bias], broadcasting batch axes of size 1. Operands are plain unless strides
/// are given, in floats by axis.
struct MatMulProblem {
  Dims a, b, c;                       ///< the same rank, 2 or more; sizes after transposition
  bool transpose_a = false, transpose_b = false;  ///< the operand's last two axes are stored swapped
  Dims a_strides, b_strides, c_strides;
  float alpha = 1;
  bool bias = false;                  ///< of c's rank, sizes 1 or c's
  Dims bias_dims;
  std::vector<ElementOp> activations;
};

/// Arguments: a, b, [bias], c.
Primitive matmul(const MatMulProblem& problem);

}  // namespace espalier
