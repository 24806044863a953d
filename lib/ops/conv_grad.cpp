#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/window.h"

namespace espalier::ops {
namespace {

/// The sizes of a convolution x [N, C, in...], W [M, C/group, kernel...] -> dy [N, M, out...].
struct Conv {
  int64_t n, m, c, group, in, out, kernel;
  std::vector<TapRuns> taps;
  int64_t c_per_group() const { return c / group; }
  int64_t m_per_group() const { return m / group; }

  /// visit(kernel position, output position, input position) for each product of one pair of planes.
  template <class Visit>
  void for_each_product(Visit&& visit) const {
    for (int64_t k = 0; k < kernel; ++k) {
      for (const TapRuns::Run& run : taps[k].runs) {
        for (int64_t i = 0; i < run.length; ++i) visit(k, run.out + i, run.in + i * taps[k].step);
      }
    }
  }
};

Conv conv_of(const EvaluateContext& context, const Dims& x, const Dims& w, const Dims& dy) {
  const Dims in(x.begin() + 2, x.end()), kernel(w.begin() + 2, w.end()), out(dy.begin() + 2, dy.end());
  const Window window = resolve(read_window(context.node(), in.size(), kernel), in);
  return {x[0], w[0], x[1], context.node().get<int64_t>("group", 1), element_count(in), element_count(out),
          element_count(kernel), tap_runs(window, in, out)};
}

void check_ranks(InferContext& c, size_t a, size_t b) {
  c.require_rank(a, 3, 5);
  if (c.has_rank(a) && c.has_rank(b) && c.rank(a) != c.rank(b)) {
    c.fail("inputs have rank " + std::to_string(c.rank(a)) + " and " + std::to_string(c.rank(b)) + ", expected the same");
  }
}

void infer_input(InferContext& c) {
  c.require_inputs(3, 3);
  check_ranks(c, 0, 1);
  check_ranks(c, 0, 2);
  c.set(0, c.type(2));
}

void infer_weight(InferContext& c) {
  c.require_inputs(3, 3);
  check_ranks(c, 0, 1);
  check_ranks(c, 0, 2);
  c.set(0, c.type(2));
  if (!c.has_output(1)) return;
  if (c.has_rank(2)) c.set(1, c.elem_type(2), {c.dims(2)[0]});
  else c.set(1, Type::tensor(c.elem_type(2)));
}

void evaluate_input(EvaluateContext& context) {
  const Tensor dy = context.input(0).cast(DataType::float64), w = context.input(1).cast(DataType::float64);
  const Conv c = conv_of(context, context.input(2).dims(), w.dims(), dy.dims());
  Tensor dx(DataType::float64, context.input(2).dims());
  const double* from = dy.data<double>().data();
  const double* weight = w.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(c.n * c.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / c.c, channel = i % c.c, g = channel / c.c_per_group();
      for (int64_t m = g * c.m_per_group(); m < (g + 1) * c.m_per_group(); ++m) {
        const double* row = from + (n * c.m + m) * c.out;
        const double* kernel = weight + (m * c.c_per_group() + channel % c.c_per_group()) * c.kernel;
        c.for_each_product([&](int64_t k, int64_t o, int64_t j) { to[i * c.in + j] += kernel[k] * row[o]; });
      }
    }
  });
  context.set(0, dx.cast(context.input(0).type()));
}

Tensor bias_gradient(const Tensor& dy) {
  const Dims& dims = dy.dims();
  Tensor result(DataType::float64, {dims[1]});
  const double* from = dy.data<double>().data();
  double* to = result.mutable_data<double>().data();
  const int64_t inner = dy.size() / std::max<int64_t>(1, dims[0] * dims[1]);
  for (int64_t i = 0; i < dims[0] * dims[1]; ++i) {
    for (int64_t j = 0; j < inner; ++j) to[i % dims[1]] += from[i * inner + j];
  }
  return result;
}

void evaluate_weight(EvaluateContext& context) {
  const Tensor x = context.input(0).cast(DataType::float64), dy = context.input(1).cast(DataType::float64);
  const Conv c = conv_of(context, x.dims(), context.input(2).dims(), dy.dims());
  Tensor dw(DataType::float64, context.input(2).dims());
  const double* in = x.data<double>().data();
  const double* from = dy.data<double>().data();
  double* to = dw.mutable_data<double>().data();
  parallel_for(c.m * c.c_per_group(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t m = i / c.c_per_group(), channel = m / c.m_per_group() * c.c_per_group() + i % c.c_per_group();
      for (int64_t n = 0; n < c.n; ++n) {
        const double* row = from + (n * c.m + m) * c.out;
        const double* plane = in + (n * c.c + channel) * c.in;
        c.for_each_product([&](int64_t k, int64_t o, int64_t j) { to[i * c.kernel + k] += plane[j] * row[o]; });
      }
    }
  });
  const DataType type = context.input(1).type();
  context.set(0, dw.cast(type));
  if (context.has_output(1)) context.set(1, bias_gradient(dy).cast(type));
}

/// dy, W -> dx in the layout in which x lies.
bool lower_input(LowerContext& c) {
  if (!c.hint()) return false;
  const ConvProblem p = conv_problem(c.node(), c.dims(2), c.dims(1), c.dims(0));
  Primitive step = conv_backward_data(p, c.hint(), own_layout(c, 0), own_layout(c, 2));
  const std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), c.write(0, step.args[2])};
  c.step(std::move(step), args);
  return true;
}

bool lower_weight(LowerContext& c) {
  if (!c.hint()) return false;
  ConvProblem p = conv_problem(c.node(), c.dims(0), c.dims(2), c.dims(1));
  p.bias = c.has_output(1);
  Primitive step = conv_backward_weights(p, c.hint(), own_layout(c, 0), own_layout(c, 1));
  std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), c.write(0, step.args[2])};
  if (p.bias) args.push_back(c.write(1, step.args[3]));
  c.step(std::move(step), args);
  return true;
}

}  // namespace

/// ConvGradInput(dy, W, x_like) -> dx, with Conv's attributes.
extern const Op conv_grad_input;
const Op conv_grad_input = {
    .name = "ConvGradInput",
    .domain = kInternalDomain,
    .infer = infer_input,
    .evaluate = evaluate_input,
    .lower = lower_input,
    .shape_only_inputs = 0b100,
};

/// ConvGradWeight(x, dy, W_like) -> dW [M, C/group, kernel...], dB [M] (optional), with Conv's attributes.
extern const Op conv_grad_weight;
const Op conv_grad_weight = {
    .name = "ConvGradWeight",
    .domain = kInternalDomain,
    .infer = infer_weight,
    .evaluate = evaluate_weight,
    .lower = lower_weight,
    .shape_only_inputs = 0b100,
};

}  // namespace espalier::ops
