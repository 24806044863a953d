#include "lib/ops/cost.h"
#include "lib/ops/matmul_loop.h"

namespace espalier::ops {
namespace {

/// a: [..., M, K]; b: [..., K, N]; y: [broadcast ..., M, N]. A rank-1 operand is a row (a) or a column (b), whose axis
/// of size 1 leaves the result.
template <class Shape, class Broadcast>
Shape result_dims(Shape a, Shape b, Broadcast batch_of) {
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  Shape dims = batch_of(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!row) dims.push_back(a[a.size() - 2]);
  if (!column) dims.push_back(b.back());
  return dims;
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) {
    require_type(c, i, is_numeric, "a numeric type");
    c.require_rank(i, 1, kMaxRank);
  }
  require_same_type(c, 0, 1);
  if (!c.has_rank(0) || !c.has_rank(1)) return c.set(0, Type::tensor(c.elem_type(0)));
  const Dim &left = c.dims(0).back(), &right = c.rank(1) == 1 ? c.dims(1)[0] : c.dims(1)[c.dims(1).size() - 2];
  if (left.known() && right.known() && !(left == right)) {
    c.fail("inner sizes of " + to_string(c.dims(0)) + " and " + to_string(c.dims(1)) + " differ");
  }
  const auto batch = [&c](const SymbolicDims& a, const SymbolicDims& b) { return broadcast(c, a, b); };
  c.set(0, c.elem_type(0), result_dims(c.dims(0), c.dims(1), batch));
}

template <class T>
Tensor multiply_stacks(const Tensor& a, const Tensor& b) {
  Tensor y(a.type(), result_dims(a.dims(), b.dims(), [](const Dims& p, const Dims& q) { return broadcast(p, q); }));
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

void evaluate(EvaluateContext& c) {
  dispatch_number(c.input(0).type(), [&]<class T>() { c.set(0, multiply_stacks<T>(c.input(0), c.input(1))); });
}

Cost cost(const InferContext& c) {
  const auto a = c.type(0).known_dims();
  const int64_t macs = a ? checked_mul(known_elements(c.output(0).type), a->back()) : 0;
  return {.macs = macs, .flops = checked_mul(2, macs), .bytes = known_traffic(c)};
}

/// Whichever side is constant.
std::vector<int> parameters(const Node&) { return {0, 1}; }

}  // namespace

extern const Op matmul;
const Op matmul = {
    .name = "MatMul",
    .infer = infer,
    .evaluate = evaluate,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
