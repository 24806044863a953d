#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// MatMul of matrices and a constant Add become one Gemm.
///
///     h = MatMul(a, w)
///     y = Add(h, c)            ->     y = Gemm(a, w, c)
///
/// Legal from opset 7, where both operands of MatMul have rank 2, the Add's other operand is a constant that broadcasts to
/// h without widening it, the type is a float, and nothing else reads h. Gains a pass over memory.
extern const Pass fuse_gemm;

}  // namespace espalier::passes
