#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/products.h"
#include "lib/ops/stacks.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

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
  c.set(0, c.elem_type(0), stacked_dims(c.dims(0), c.dims(1), batch));
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

/// The product of two stacks, the last two axes of either swapped first where it says so.
ValueId product(GradientContext& c, ValueId a, int64_t trans_a, ValueId b, int64_t trans_b) {
  return c.add("StackedProduct", {a, b}, {{"transA", trans_a, {}}, {"transB", trans_b, {}}});
}

/// A stack times one matrix, as one long matrix times it: a layer whose gradients are those of Gemm.
void layer_gradient(GradientContext& c, int64_t inner, int64_t columns) {
  const bool stacked = c.type(c.input(0)).rank() > 2;
  const auto long_matrix = [&](ValueId v, int64_t width) { return stacked ? c.add("Reshape", {v, integers(c, {-1, width})}) : v; };
  const ValueId a = long_matrix(c.input(0), inner), dy = long_matrix(c.grad_output(), columns), b = c.input(1);
  if (c.wants(0)) {
    const ValueId da = c.add("GemmGradInput", {dy, b, a});
    c.set_grad(0, stacked ? c.add("ReshapeLike", {da, c.input(0)}) : da);
  }
  if (c.wants(1)) c.set_grad(1, c.add("GemmGradWeight", {a, dy, b}));
}

void gradient(GradientContext& c) {
  const Type &type_a = c.type(c.input(0)), &type_b = c.type(c.input(1));
  if (!type_a.has_rank() || !type_b.has_rank()) c.fail("cannot be differentiated: the rank of an input is not known");
  if (type_a.rank() == 2 && type_b.rank() == 2) return layer_gradient(c, 0, 0);
  if (type_a.rank() > 2 && type_b.rank() == 2 && type_b.known_dims()) {
    return layer_gradient(c, (*type_b.known_dims())[0], (*type_b.known_dims())[1]);
  }
  ValueId a = c.input(0), b = c.input(1), dy = c.grad_output();
  // A vector is a row on the left and a column on the right; the result lacks that axis.
  if (type_b.rank() == 1) {
    b = c.add("Unsqueeze", {b, integers(c, {1})});
    dy = c.add("Unsqueeze", {dy, integers(c, {-1})});
  }
  if (type_a.rank() == 1) {
    a = c.add("Unsqueeze", {a, integers(c, {0})});
    dy = c.add("Unsqueeze", {dy, integers(c, {-2})});
  }
  const auto back = [&](ValueId grad, ValueId like, size_t i, bool vector) {
    const ValueId sum = c.add("SumTo", {grad, like});
    c.set_grad(i, vector ? c.add("ReshapeLike", {sum, c.input(i)}) : sum);
  };
  if (c.wants(0)) back(product(c, dy, 0, b, 1), a, 0, type_a.rank() == 1);
  if (c.wants(1)) back(product(c, a, 1, dy, 0), b, 1, type_b.rank() == 1);
}

/// A weight matrix makes a layer; all else is a product of stacks.
bool lower(LowerContext& c) {
  const bool moved = !c.fusion().perms.empty() || !c.fusion().result_perm.empty();
  const Dims a = c.dims(0), b = c.dims(1);
  if (c.type(0) == DataType::float32 && !moved && a.size() >= 2 && b.size() == 2 && c.is_weight(1) && element_count(a) > 0 &&
      element_count(b) > 0) {
    return lower_layer(c, true);
  }
  return lower_stacks(c, false, false);
}

}  // namespace

extern const Op matmul;
const Op matmul = {
    .name = "MatMul",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsActivations | kAbsorbsTransposes | kAbsorbsBias,
    .gradient = gradient,
    .units = units::matmul,
    .cut = cuts::matmul,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
