#include "lib/kernels/losses.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  if (c.has_rank(0) && c.has_rank(1) && c.rank(0) != c.rank(1)) {
    c.fail("inputs have rank " + std::to_string(c.rank(0)) + " and " + std::to_string(c.rank(1)) + ", expected the same shape");
  }
  c.set(0, c.elem_type(0), {});
}

void check_same(const EvaluateContext& c) {
  if (c.input(0).dims() != c.input(1).dims()) {
    c.fail("inputs have " + to_string(c.input(0).dims()) + " and " + to_string(c.input(1).dims()) + ", expected the same shape");
  }
}

void evaluate(EvaluateContext& c) {
  check_same(c);
  const auto a = c.input(0).to_doubles(), b = c.input(1).to_doubles();
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  c.set(0, Tensor::scalar(sum / static_cast<double>(a.size())).cast(c.input(0).type()));
}

void gradient(GradientContext& c) {
  for (size_t i = 0; i < 2; ++i) {
    if (c.wants(i)) c.set_grad(i, c.add("MeanSquaredErrorGrad", {c.input(i), c.input(1 - i), c.grad_output()}));
  }
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  check_same(c);
  const auto a = c.input(0).to_doubles(), b = c.input(1).to_doubles();
  Tensor result(DataType::float64, c.input(0).dims());
  const auto to = result.mutable_data<double>();
  const double factor = 2 * c.input(2).to_doubles().at(0) / static_cast<double>(a.size());
  for (size_t i = 0; i < a.size(); ++i) to[i] = factor * (a[i] - b[i]);
  c.set(0, result.cast(c.input(0).type()));
}

bool is_fast(const LowerContext& c) {
  return c.type(0) == DataType::float32 && c.type(1) == DataType::float32 && c.dims(0) == c.dims(1) && element_count(c.dims(0)) > 0;
}

bool lower(LowerContext& c) {
  if (!is_fast(c)) return false;
  const Layout layout = own_layout(c, 0);
  c.step(squared_error(layout, element_count(c.dims(0))),
         {c.read(0, layout), c.read(1, layout), c.write(0, Layout::plain(DataType::float32, {}))}, "loop");
  return true;
}

bool lower_grad(LowerContext& c) {
  if (!is_fast(c) || element_count(c.dims(2)) != 1) return false;
  const Layout layout = own_layout(c, 0);
  const Operand a = c.read(0, layout), b = c.read(1, layout), dy = c.read(2);
  c.step(squared_error_backward(layout, element_count(c.dims(0))), {a, b, dy, c.write_over(0, a, layout)}, "loop");
  return true;
}

}  // namespace

extern const Op mean_squared_error, mean_squared_error_grad;

/// MeanSquaredError(a, b) -> []: mean over all elements of (a - b)^2.
const Op mean_squared_error = {
    .name = "MeanSquaredError",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
};

/// MeanSquaredErrorGrad(a, b, dy) -> da.
const Op mean_squared_error_grad = {
    .name = "MeanSquaredErrorGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
};

}  // namespace espalier::ops
