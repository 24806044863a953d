// Gradients of ConvTranspose, which is the transpose of a convolution from y to x: dx is that convolution of dy, dW its
// weight gradient.

#include "lib/base/parallel.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/conv_transpose.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

/// x [N, C, in...], W [C, M/group, kernel...], y [N, M, out...].
struct Sizes {
  int64_t n, c, m, group, in, out, kernel;
  std::vector<TapRuns> taps;  ///< of the convolution from y to x

  Sizes(const Node& node, const Dims& x, const Dims& w, const Dims& y)
      : n(x[0]), c(x[1]), m(y[1]), group(node.get<int64_t>("group", 1)) {
    const Dims from(x.begin() + 2, x.end()), to(y.begin() + 2, y.end()), k(w.begin() + 2, w.end());
    in = element_count(from), out = element_count(to), kernel = element_count(k);
    taps = tap_runs(transpose_geometry(node, to_symbolic(from), k).window, to, from);
  }
  int64_t c_per_group() const { return c / group; }
  int64_t m_per_group() const { return m / group; }

  /// visit(tap, element of y's plane, element of x's plane).
  template <class Visit>
  void for_each_product(Visit visit) const {
    for (int64_t k = 0; k < kernel; ++k) {
      for (const TapRuns::Run& run : taps[static_cast<size_t>(k)].runs) {
        for (int64_t i = 0; i < run.length; ++i) visit(k, run.in + i * taps[static_cast<size_t>(k)].step, run.out + i);
      }
    }
  }
};

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  for (const size_t i : {0, 1, 2}) c.require_rank(i, 3, kMaxRank);
  c.set(0, c.type(2));
}

void evaluate_input(EvaluateContext& c) {
  const Tensor& like = c.input(2);
  const Tensor dy = c.input(0).cast(DataType::float64), w = c.input(1).cast(DataType::float64);
  const Sizes s(c.node(), like.dims(), w.dims(), dy.dims());
  Tensor dx(DataType::float64, like.dims());
  const double* from = dy.data<double>().data();
  const double* weight = w.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(s.n * s.c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t k = plane % s.c, first = k / s.c_per_group() * s.m_per_group();
      for (int64_t m = 0; m < s.m_per_group(); ++m) {
        const double* row = from + (plane / s.c * s.m + first + m) * s.out;
        const double* kernel = weight + (k * s.m_per_group() + m) * s.kernel;
        s.for_each_product([&](int64_t t, int64_t y, int64_t x) { to[plane * s.in + x] += kernel[t] * row[y]; });
      }
    }
  });
  c.set(0, dx.cast(c.input(0).type()));
}

void evaluate_weight(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(1).cast(DataType::float64);
  const Sizes s(c.node(), x.dims(), c.input(2).dims(), dy.dims());
  Tensor dw(DataType::float64, c.input(2).dims());
  const double* in = x.data<double>().data();
  const double* from = dy.data<double>().data();
  double* to = dw.mutable_data<double>().data();
  parallel_for(s.c * s.m_per_group(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t k = i / s.m_per_group(), m = k / s.c_per_group() * s.m_per_group() + i % s.m_per_group();
      for (int64_t n = 0; n < s.n; ++n) {
        const double* row = from + (n * s.m + m) * s.out;
        const double* plane = in + (n * s.c + k) * s.in;
        s.for_each_product([&](int64_t t, int64_t y_at, int64_t x_at) { to[i * s.kernel + t] += row[y_at] * plane[x_at]; });
      }
    }
  });
  c.set(0, dw.cast(c.input(1).type()));
}

bool lower_input(LowerContext& c) {
  const auto p = transpose_problem(c.node(), c.type(0), c.dims(2), c.dims(1), c.dims(0));
  if (!p) return false;
  Primitive step = conv_forward(*p, own_layout(c, 0));
  const std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), c.write(0, step.args[2])};
  c.step(std::move(step), args);
  return true;
}

bool lower_weight(LowerContext& c) {
  const auto p = transpose_problem(c.node(), c.type(1), c.dims(0), c.dims(2), c.dims(1));
  if (!p) return false;
  Primitive step = conv_backward_weights(*p, conv_hint(*p), own_layout(c, 1), own_layout(c, 0));
  const std::vector<Operand> args = {c.read(1, step.args[0]), c.read(0, step.args[1]), c.write(0, step.args[2])};
  c.step(std::move(step), args);
  return true;
}

}  // namespace

/// ConvTransposeGradInput(dy, W, x_like) -> dx, with ConvTranspose's attributes.
extern const Op conv_transpose_grad_input;
const Op conv_transpose_grad_input = {
    .name = "ConvTransposeGradInput",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate_input,
    .lower = lower_input,
    .shape_only_inputs = 0b100,
};

/// ConvTransposeGradWeight(x, dy, W_like) -> dW, with ConvTranspose's attributes.
extern const Op conv_transpose_grad_weight;
const Op conv_transpose_grad_weight = {
    .name = "ConvTransposeGradWeight",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate_weight,
    .lower = lower_weight,
    .shape_only_inputs = 0b100,
};

}  // namespace espalier::ops
