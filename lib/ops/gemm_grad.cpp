#include "lib/base/parallel.h"
#include "lib/kernels/matrix.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/kernels/reduce.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"
#include "lib/ops/products.h"

namespace espalier::ops {
namespace {

bool transposed(const Node& node) { return node.get<int64_t>("transB", 0) == 0; }

void infer_input(InferContext& c) {
  c.require_inputs(3, 3);
  for (const size_t i : {0, 1, 2}) c.require_rank(i, 2, 2);
  c.set(0, c.type(2));
}

void infer_weight(InferContext& c) {
  infer_input(c);
  if (!c.has_output(1)) return;
  c.set(1, c.elem_type(0), {c.has_rank(1) ? c.dims(1)[1] : Dim()});
}

/// c[m, n] = sum over k of a[m, k] b[k, n], operands by strides, in double.
Tensor product(const Tensor& a, Dims sa, const Tensor& b, Dims sb, const Dims& dims, int64_t inner) {
  Tensor result(DataType::float64, dims);
  const double* x = a.data<double>().data();
  const double* y = b.data<double>().data();
  double* z = result.mutable_data<double>().data();
  parallel_for(dims[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      for (int64_t k = 0; k < inner; ++k) {
        const double factor = x[m * sa[0] + k * sa[1]];
        for (int64_t n = 0; n < dims[1]; ++n) z[m * dims[1] + n] += factor * y[k * sb[0] + n * sb[1]];
      }
    }
  });
  return result;
}

void evaluate_input(EvaluateContext& c) {
  const Tensor dy = c.input(0).cast(DataType::float64), w = c.input(1).cast(DataType::float64);
  const Dims& dims = c.input(2).dims();
  const int64_t outputs = dy.dims()[1];
  const Dims strides = transposed(c.node()) ? Dims{1, outputs} : Dims{dims[1], 1};
  c.set(0, product(dy, {outputs, 1}, w, strides, dims, outputs).cast(c.input(0).type()));
}

void evaluate_weight(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(1).cast(DataType::float64);
  const int64_t batch = x.dims()[0], features = x.dims()[1], outputs = dy.dims()[1];
  const Tensor dw = transposed(c.node()) ? product(x, {1, features}, dy, {outputs, 1}, {features, outputs}, batch)
                                         : product(dy, {1, outputs}, x, {features, 1}, {outputs, features}, batch);
  c.set(0, dw.cast(c.input(0).type()));
  if (!c.has_output(1)) return;
  Tensor db(DataType::float64, {outputs});
  for (int64_t i = 0; i < dy.size(); ++i) db.mutable_data<double>()[i % outputs] += dy.data<double>()[i];
  c.set(1, db.cast(c.input(0).type()));
}

/// The layer as its forward step took it: the source may lie blocked with spatial axes.
InnerProductProblem problem(const LowerContext& c, size_t x, size_t w) {
  InnerProductProblem p;
  p.src = c.layout(x).dims();
  if (c.layout(x).is_plain() || p.src[0] != c.dims(x)[0]) p.src = c.dims(x);
  p.weights = c.dims(w);
  p.weights_transposed = transposed(c.node());
  p.training = true;
  return p;
}

Layout source(const LowerContext& c, size_t x, const InnerProductProblem& p) {
  const Layout layout = c.layout(x);
  return layout.dims() == p.src ? layout : Layout::plain(DataType::float32, p.src);
}

bool lower_input(LowerContext& c) {
  if (c.type(0) != DataType::float32) return false;
  // The forward step was no layer: its matrix is an activation.
  if (!c.hint()) return lower_product(c, 0, false, 1, transposed(c.node()));
  const InnerProductProblem p = problem(c, 2, 1);
  Primitive step = inner_product_backward_data(p, c.hint(), Layout::plain(DataType::float32, c.dims(0)), source(c, 2, p));
  const std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), c.write(0, step.args[2])};
  c.step(std::move(step), args);
  return true;
}

bool lower_weight(LowerContext& c) {
  if (c.type(0) != DataType::float32) return false;
  if (!c.hint()) {
    if (c.has_output(1)) {
      const Dims dy = c.dims(1);
      const Operand from = c.read(1, Layout::plain(DataType::float32, dy)), db = c.write(1, Layout::plain(DataType::float32, c.output_dims(1)));
      c.step(reduce_sum(dy, {true, false}, 1), {from, db}, "loop");
    }
    return transposed(c.node()) ? lower_product(c, 0, true, 1, false) : lower_product(c, 1, true, 0, false);
  }
  InnerProductProblem p = problem(c, 0, 2);
  p.bias = c.has_output(1);
  Primitive step = inner_product_backward_weights(p, c.hint(), source(c, 0, p), Layout::plain(DataType::float32, c.dims(1)));
  std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), c.write(0, step.args[2])};
  if (p.bias) args.push_back(c.write(1, step.args[3]));
  c.step(std::move(step), args);
  return true;
}

}  // namespace

extern const Op gemm_grad_input, gemm_grad_weight;

/// GemmGradInput(dy [N, O], w, x_like [N, K]) {transB} -> dx: of y = x op(w) + b, op transposing where transB is 1.
const Op gemm_grad_input = {
    .name = "GemmGradInput",
    .domain = kInternalDomain,
    .infer = infer_input,
    .evaluate = evaluate_input,
    .lower = lower_input,
    .shape_only_inputs = 0b100,
};

/// GemmGradWeight(x [N, K], dy [N, O], w_like) {transB} -> dw [, db [O]].
const Op gemm_grad_weight = {
    .name = "GemmGradWeight",
    .domain = kInternalDomain,
    .infer = infer_weight,
    .evaluate = evaluate_weight,
    .lower = lower_weight,
    .shape_only_inputs = 0b100,
};

}  // namespace espalier::ops
