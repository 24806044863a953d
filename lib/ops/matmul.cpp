#include "lib/kernels/matrix.h"
#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/products.h"
#include "lib/ops/unit_rules.h"

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

ValueId transposed(GradientContext& c, ValueId x, int64_t rank) {
  std::vector<int64_t> perm(rank);
  for (int64_t i = 0; i < rank; ++i) perm[i] = i;
  std::swap(perm[rank - 1], perm[rank - 2]);
  return c.add("Transpose", {x}, {{"perm", perm, {}}});
}

/// dB of a stack times one matrix: the stack's rows are one long matrix, [rows, K]^T [rows, N].
ValueId weight_gradient(GradientContext& c, ValueId a, ValueId dy, int64_t inner, int64_t columns) {
  const ValueId rows_a = c.add("Reshape", {a, integers(c, {-1, inner})});
  const ValueId rows_dy = c.add("Reshape", {dy, integers(c, {-1, columns})});
  return c.add("Gemm", {rows_a, rows_dy}, {{"transA", int64_t{1}, {}}});
}

void gradient(GradientContext& c) {
  const Type &type_a = c.type(c.input(0)), &type_b = c.type(c.input(1));
  if (!type_a.has_rank() || !type_b.has_rank()) c.fail("cannot be differentiated: the rank of an input is not known");
  ValueId a = c.input(0), b = c.input(1), dy = c.grad_output();
  const int64_t rank_a = std::max<int64_t>(2, type_a.rank()), rank_b = std::max<int64_t>(2, type_b.rank());
  if (type_a.rank() == 2 && type_b.rank() == 2) {
    if (c.wants(0)) c.set_grad(0, c.add("GemmGradInput", {dy, b, a}));
    if (c.wants(1)) c.set_grad(1, c.add("GemmGradWeight", {a, dy, b}));
    return;
  }
  // A vector is a row on the left and a column on the right; the result lacks that axis.
  if (type_b.rank() == 1) {
    b = c.add("Unsqueeze", {b, integers(c, {1})});
    dy = c.add("Unsqueeze", {dy, integers(c, {-1})});
  }
  if (type_a.rank() == 1) {
    a = c.add("Unsqueeze", {a, integers(c, {0})});
    dy = c.add("Unsqueeze", {dy, integers(c, {-2})});
  }
  if (c.wants(0)) {
    const ValueId grad = c.add("SumTo", {c.add("MatMul", {dy, transposed(c, b, rank_b)}), a});
    c.set_grad(0, type_a.rank() == 1 ? c.add("ReshapeLike", {grad, c.input(0)}) : grad);
  }
  if (!c.wants(1)) return;
  if (type_b.rank() == 2 && type_b.known_dims()) {
    const Dims dims = *type_b.known_dims();
    c.set_grad(1, weight_gradient(c, a, dy, dims[0], dims[1]));
    return;
  }
  const ValueId grad = c.add("SumTo", {c.add("MatMul", {transposed(c, a, rank_a), dy}), b});
  c.set_grad(1, type_b.rank() == 1 ? c.add("ReshapeLike", {grad, c.input(1)}) : grad);
}

/// Plain operands of one rank; a stack beside one matrix is multiplied as one tall matrix.
bool lower(LowerContext& c) {
  Dims a = c.dims(0), b = c.dims(1);
  const Dims y = c.output_dims(0);
  if (c.type(0) != DataType::float32 || a.size() < 2 || b.size() < 2 || element_count(y) == 0 || a.back() == 0) return false;
  if (a.size() == 2 && b.size() == 2 && c.is_weight(1)) return lower_layer(c, true);
  MatMulProblem p;
  p.activations = c.fusion().activations;
  if (b.size() == 2) {
    p.a = {element_count(a) / a.back(), a.back()};
    p.b = b;
    p.c = {p.a[0], b[1]};
  } else {
    if (y.size() > 6) return false;
    a.insert(a.begin(), y.size() - a.size(), 1);
    b.insert(b.begin(), y.size() - b.size(), 1);
    p.a = a;
    p.b = b;
    p.c = y;
  }
  Primitive step = matmul(p);
  const std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]),
                                     c.write(0, Layout::plain(DataType::float32, y))};
  c.step(std::move(step), args);
  return true;
}

}  // namespace

extern const Op matmul;
const Op matmul = {
    .name = "MatMul",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsActivations,
    .gradient = gradient,
    .units = units::matmul,
    .cut = cuts::matmul,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
