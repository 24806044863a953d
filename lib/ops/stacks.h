#pragma once

#include "lib/ops/lower.h"
#include "lib/ops/matmul_loop.h"

namespace espalier {

// Products of stacks of matrices: MatMul, and what its gradients and Einsum make of it.

/// a: [..., M, K]; b: [..., K, N]; y: [broadcast ..., M, N]. A rank-1 operand is a row (a) or a column (b), whose axis
/// of size 1 leaves the result.
template <class Shape, class Broadcast>
Shape stacked_dims(Shape a, Shape b, Broadcast batch_of) {
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  Shape dims = batch_of(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!row) dims.push_back(a[a.size() - 2]);
  if (!column) dims.push_back(b.back());
  return dims;
}

template <class T>
Tensor multiply_stacks(const Tensor& a, const Tensor& b) {
  Tensor y(a.type(), stacked_dims(a.dims(), b.dims(), [](const Dims& p, const Dims& q) { return broadcast(p, q); }));
  const auto matrix = [](Dims dims, bool left) {
    if (dims.size() == 1) dims.insert(left ? dims.begin() : dims.end(), 1);
    return dims;
  };
  const Dims da = matrix(a.dims(), true), db = matrix(b.dims(), false);
  const int64_t rows = da[da.size() - 2], inner = da.back(), columns = db.back();
  const Dims stack_a(da.begin(), da.end() - 2), stack_b(db.begin(), db.end() - 2), stack = broadcast(stack_a, stack_b);
  const Dims step_a = broadcast_strides(stack_a, stack), step_b = broadcast_strides(stack_b, stack);
  const Dims steps = row_major_strides(stack);
  const auto pa = a.data<T>(), pb = b.data<T>();
  const auto py = y.mutable_data<T>();
  parallel_for(element_count(stack), 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      int64_t at_a = 0, at_b = 0;
      for (size_t axis = 0; axis < stack.size(); ++axis) {
        const int64_t index = s / steps[axis] % stack[axis];
        at_a += index * step_a[axis];
        at_b += index * step_b[axis];
      }
      multiply(pa.data() + at_a * rows * inner, pb.data() + at_b * inner * columns, py.data() + s * rows * columns, rows,
               columns, inner, [](int64_t, int64_t, auto sum) { return sum; });
    }
  });
  return y;
}

/// The fast step of such a product, with the transpositions that were absorbed; the last two axes of either operand are
/// swapped first where it says so.
bool lower_stacks(LowerContext& context, bool transpose_a, bool transpose_b);

}  // namespace espalier
