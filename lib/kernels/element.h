#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Operations on single elements, as plans fuse them: into convolutions as post-ops, into normalisations, or into one
/// loop over memory (element_chain). x, y are the operands in order.
enum class ElementKind : uint8_t {
  copy,          ///< x
  relu,          ///< max(x, 0)
  leaky_relu,    ///< x > 0 ? x : alpha x
  clip,          ///< min(max(x, alpha), beta)
  sigmoid, tanh, ///< 1 / (1 + exp(-x)), tanh(x)
  hard_sigmoid,  ///< min(max(alpha x + beta, 0), 1)
  hard_swish,    ///< x min(max(x / 6 + 1/2, 0), 1)
  neg, sqrt, exp, log, abs, reciprocal, square,
  scale_shift,   ///< alpha x + beta
  elu,           ///< x > 0 ? x : alpha (exp(beta x) - 1)
  selu,          ///< beta (x > 0 ? x : alpha (exp(x) - 1))
  softplus,      ///< log(1 + exp(x))
  softsign,      ///< x / (1 + |x|)
  mish,          ///< x tanh(softplus(x))
  gelu, gelu_tanh,   ///< x Phi(x), Phi by the error function or by its approximation with tanh
  thresholded_relu,  ///< x > alpha ? x : 0
  erf, floor, ceil, round, sign, cube,  ///< round: halves to even
  sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh,
  power,         ///< x^alpha
  add, sub, mul, div, max, min,  ///< of x, y
  pow, fmod,     ///< x^y; the rest of x / y, with the sign of x
  prelu,         ///< x < 0 ? x y : x
  equal,         ///< x = y ? 1 : 0
  relu_grad,         ///< (y, dy): y > 0 ? dy : 0
  leaky_relu_grad,   ///< (x, dy): x > 0 ? dy : alpha dy
  clip_grad,         ///< (y, dy): alpha < y < beta ? dy : 0
  sigmoid_grad,      ///< (y, dy): dy y (1 - y)
  tanh_grad,         ///< (y, dy): dy (1 - y^2)
  hard_sigmoid_grad, ///< (y, dy): 0 < y < 1 ? alpha dy : 0
  hard_swish_grad,   ///< (x, dy): derivative of hard_swish at x times dy
  elu_grad,          ///< (x, dy): x > 0 ? dy : alpha beta exp(beta x) dy
  gelu_grad, gelu_tanh_grad,  ///< (x, dy): derivative at x times dy
  thresholded_relu_grad,      ///< (x, dy): x > alpha ? dy : 0
};

struct ElementOp {
  ElementKind kind = ElementKind::copy;
  float alpha = 0, beta = 0;
};

int operand_count(ElementKind kind);
std::string_view name(ElementKind kind);

/// How an operand of a chain lies beside the result.
struct ElementOperand {
  enum class Kind : uint8_t {
    full,     ///< the same layout as the result, element by element
    scalar,   ///< one element
    channel,  ///< [C] or [N, C, 1, ...] beside a result seen as Layout::Channels: stride over n, then blocks
    strided,  ///< plain, broadcast by strides over the plain result
  };
  Kind kind = Kind::full;
  int64_t batch_stride = 0;  ///< channel: floats from one n to the next (0: shared by all)
  Dims strides;              ///< strided: per axis of the result, in floats; 0 where broadcast
};

/// One instruction of a chain: register `target` = op(registers a, b). Registers 0..operands-1 hold the operands.
struct ElementStep {
  ElementOp op;
  int a = 0, b = 0, target = 0;
};

/// A chain of elementwise operations on float as one loop over memory. Arguments: the operands, then the result, which
/// may be the memory of a `full` operand. `layout` is the result's; the last step's target is the result. Padding of
/// blocked layouts stays zero only where the chain maps zeros to zero: where it does not, the kernel clears it.
std::unique_ptr<Kernel> element_chain(const Layout& layout, std::vector<ElementOperand> operands,
                                      std::vector<ElementStep> steps);

/// Whether convolutions, matrix products and normalisations can take the operation in (dnnl post-ops), after those that
/// they have taken in before.
bool can_fuse(const ElementOp& op, std::span<const ElementOp> before = {});

}  // namespace espalier
