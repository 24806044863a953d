#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/pool.h"
#include "lib/ops/taps.h"

namespace espalier::ops {
namespace {

void infer_max(InferContext& c) {
  c.require_inputs(3, 3);
  c.require_rank(0, 3, 5);
  c.set(0, c.type(0));
}

void infer_average(InferContext& c) {
  c.require_inputs(2, 2);
  c.require_rank(0, 3, 5);
  c.set(0, c.type(0));
}

Dims spatial(const Tensor& t) { return {t.dims().begin() + 2, t.dims().end()}; }

WindowGeometry pool_window(const EvaluateContext& c, const Tensor& x, const Tensor& dy) {
  return window_geometry(c.node(), spatial(x), c.node().require<std::vector<int64_t>>("kernel_shape"), spatial(dy));
}

/// dx += dy at the first maximum of each window of one plane.
void add_at_maxima(const std::vector<Tap>& taps, const double* x, const double* dy, double* dx) {
  for (size_t i = 0; i < taps.size();) {
    size_t best = i, next = i + 1;
    for (; next < taps.size() && taps[next].out == taps[i].out; ++next) {
      const double value = x[taps[next].in];
      if (value > x[taps[best].in] || (std::isnan(value) && !std::isnan(x[taps[best].in]))) best = next;
    }
    dx[taps[best].in] += dy[taps[best].out];
    i = next;
  }
}

void evaluate_max(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(2).cast(DataType::float64);
  const auto window = taps(pool_window(c, x, dy));
  Tensor dx(DataType::float64, x.dims());
  const int64_t planes = x.dims()[0] * x.dims()[1];
  const int64_t in = element_count(spatial(x)), out = element_count(spatial(dy));
  const double* from = x.data<double>().data();
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) add_at_maxima(window, from + i * in, grad + i * out, to + i * in);
  });
  c.set(0, dx.cast(c.input(0).type()));
}

/// Positions that each window of AveragePool divides by.
std::vector<double> window_sizes(const WindowGeometry& w, const std::vector<Tap>& taps, bool count_pads) {
  const int64_t out = element_count(w.out);
  std::vector<double> sizes(out, 0);
  for (const Tap& t : taps) sizes[t.out] += 1;
  if (!count_pads) return sizes;
  WindowGeometry padded = w;  // as if the padding were input; what ceil_mode adds beyond it does not count
  for (size_t i = 0; i < w.in.size(); ++i) padded.in[i] += w.begin[i] + w.end[i];
  padded.begin.assign(w.in.size(), 0);
  sizes.assign(out, 0);
  for (const Tap& t : espalier::taps(padded)) sizes[t.out] += 1;
  return sizes;
}

void evaluate_average(EvaluateContext& c) {
  const Tensor dy = c.input(1).cast(DataType::float64);
  Tensor dx(DataType::float64, c.input(0).dims());
  const WindowGeometry w = pool_window(c, dx, dy);
  const auto window = taps(w);
  const auto sizes = window_sizes(w, window, c.node().get<int64_t>("count_include_pad", 0) != 0);
  const int64_t in = element_count(w.in), out = element_count(w.out);
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(dx.dims()[0] * dx.dims()[1], 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (const Tap& t : window) to[i * in + t.in] += grad[i * out + t.out] / sizes[t.out];
    }
  });
  c.set(0, dx.cast(c.input(1).type()));
}

void evaluate_global(EvaluateContext& c) {
  const Tensor dy = c.input(1).cast(DataType::float64);
  Tensor dx(DataType::float64, c.input(0).dims());
  const int64_t in = element_count(spatial(dx));
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(dy.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::fill_n(to + i * in, in, grad[i] / static_cast<double>(in));
  });
  c.set(0, dx.cast(c.input(1).type()));
}

bool lower_max(LowerContext& c) {
  return lower_pool_grad(c, pool_problem(c.node(), c.type(0), c.dims(0), c.dims(2), PoolKind::max), 0, 2);
}

bool lower_average(LowerContext& c) {
  const bool padding = c.node().get<int64_t>("count_include_pad", 0) != 0;
  const PoolKind kind = padding ? PoolKind::average_with_padding : PoolKind::average;
  return lower_pool_grad(c, pool_problem(c.node(), c.type(1), c.dims(0), c.dims(1), kind), 0, 1);
}

bool lower_global(LowerContext& c) {
  const Layout layout = own_layout(c, 0);
  const auto from = layout.like(c.dims(1));
  if (c.type(1) != DataType::float32 || !layout.channels() || !from || element_count(c.dims(0)) == 0) return false;
  const Operand dy = c.read(1, *from);
  c.step(global_average_backward(layout), {dy, c.write(0, layout)}, "loop");
  return true;
}

}  // namespace

/// MaxPoolGrad(x, y, dy) -> dx, with MaxPool's attributes. The first maximum of a window gets all of it.
extern const Op max_pool_grad;
const Op max_pool_grad = {
    .name = "MaxPoolGrad",
    .domain = kInternalDomain,
    .infer = infer_max,
    .evaluate = evaluate_max,
    .lower = lower_max,
};

/// AveragePoolGrad(x_like, dy) -> dx, with AveragePool's attributes.
extern const Op average_pool_grad;
const Op average_pool_grad = {
    .name = "AveragePoolGrad",
    .domain = kInternalDomain,
    .infer = infer_average,
    .evaluate = evaluate_average,
    .lower = lower_average,
    .shape_only_inputs = 0b1,
};

/// GlobalAveragePoolGrad(x_like, dy) -> dx.
extern const Op global_average_pool_grad;
const Op global_average_pool_grad = {
    .name = "GlobalAveragePoolGrad",
    .domain = kInternalDomain,
    .infer = infer_average,
    .evaluate = evaluate_global,
    .lower = lower_global,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
