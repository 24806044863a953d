#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Small integer tensors under a known condition: shape arithmetic picks its sizes so.
void infer_numbers(InferContext& c, const SymbolicDims& dims) {
  const auto known = to_known(dims);
  const Tensor* condition = c.constant(0);
  const auto x = c.numbers(1), y = c.numbers(2);
  if (!known || known->size() > 1 || !condition || !x || !y) return;
  const auto chosen = condition->to_int64s();
  const auto at = [](const auto& values, int64_t i) { return values.size() == 1 ? values[0] : values[i]; };
  std::vector<Dim> result;
  for (int64_t i = 0; i < element_count(*known); ++i) result.push_back(at(chosen, i) ? at(*x, i) : at(*y, i));
  c.set_numbers(0, std::move(result));
}

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  if (c.type(0).is_tensor() && c.elem_type(0) != DataType::boolean) c.fail("condition is " + c.type(0).str() + ", expected bool");
  if (c.type(1).is_tensor() && c.type(2).is_tensor() && c.elem_type(1) != c.elem_type(2)) {
    c.fail("the two sides are " + c.type(1).str() + " and " + c.type(2).str() + ", expected the same element type");
  }
  const DataType type = c.type(1).is_tensor() ? c.elem_type(1) : c.elem_type(2);
  c.set(0, Type::tensor(type));
  if (!c.has_rank(0) || !c.has_rank(1) || !c.has_rank(2)) return;
  SymbolicDims dims = broadcast(c, broadcast(c, c.dims(1), c.dims(2)), c.dims(0));
  infer_numbers(c, dims);
  c.set(0, type, std::move(dims));
}

/// `in` repeated to the shape `out`, which it broadcasts to.
Tensor expanded(const Tensor& in, const Dims& out) {
  Dims dims(out.size() - in.dims().size(), 1);
  dims.insert(dims.end(), in.dims().begin(), in.dims().end());
  AxisIndices at = all_indices(out);
  for (size_t a = 0; a < out.size(); ++a) {
    if (dims[a] == 1) at[a].assign(out[a], 0);
  }
  return take(in.reshaped(dims), at);
}

void evaluate(EvaluateContext& c) {
  const Dims dims = broadcast(broadcast(c.input(0).dims(), c.input(1).dims()), c.input(2).dims());
  const Tensor condition = expanded(c.input(0), dims), x = expanded(c.input(1), dims);
  Tensor out = expanded(c.input(2), dims);
  const auto chosen = condition.data<bool>();
  for (int64_t i = 0; i < out.size(); ++i) {
    if (chosen[i]) copy_elements(x, i, out, i, 1);
  }
  c.set(0, std::move(out));
}

void gradient(GradientContext& c) {
  const ValueId condition = c.input(0), dy = c.grad_output();
  const ValueId zero = c.scalar(0, c.output());
  if (c.wants(1)) c.set_grad(1, sum_to_input(c, c.add("Where", {condition, dy, zero}), 1));
  if (c.wants(2)) c.set_grad(2, sum_to_input(c, c.add("Where", {condition, zero, dy}), 2));
}

}  // namespace

extern const Op where;
const Op where = {
    .name = "Where",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
