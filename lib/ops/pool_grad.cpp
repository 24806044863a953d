#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/pool.h"

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

/// dx += dy at the first maximum of each window of one plane; a NaN wins.
void add_at_maxima(const Pool& pool, const double* x, const double* dy, double* dx) {
  std::vector<int64_t> best(static_cast<size_t>(pool.out_size), -1);
  for (const TapRuns& tap : pool.taps) {
    for (const TapRuns::Run& run : tap.runs) {
      for (int64_t i = 0; i < run.length; ++i) {
        const int64_t at = run.in + i * tap.step;
        int64_t& winner = best[run.out + i];
        if (winner < 0 || x[at] > x[winner] || (std::isnan(x[at]) && !std::isnan(x[winner]))) winner = at;
      }
    }
  }
  for (int64_t o = 0; o < pool.out_size; ++o) {
    if (best[o] >= 0) dx[best[o]] += dy[o];
  }
}

void evaluate_max(EvaluateContext& c) {
  const Pool pool(c);
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(2).cast(DataType::float64);
  Tensor dx(DataType::float64, x.dims());
  const double* from = x.data<double>().data();
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(pool.planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      add_at_maxima(pool, from + i * pool.in_size, grad + i * pool.out_size, to + i * pool.in_size);
    }
  });
  c.set(0, dx.cast(c.input(0).type()));
}

void evaluate_average(EvaluateContext& c) {
  const Pool pool(c);
  const Tensor dy = c.input(1).cast(DataType::float64);
  Tensor dx(DataType::float64, c.input(0).dims());
  const auto divisors = average_divisors(pool, c.node().get<int64_t>("count_include_pad", 0) != 0);
  const double* grad = dy.data<double>().data();
  double* to = dx.mutable_data<double>().data();
  parallel_for(pool.planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      for (const TapRuns& tap : pool.taps) {
        for (const TapRuns::Run& run : tap.runs) {
          for (int64_t i = 0; i < run.length; ++i) {
            to[plane * pool.in_size + run.in + i * tap.step] += grad[plane * pool.out_size + run.out + i] / divisors[run.out + i];
          }
        }
      }
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
  return lower_pool_grad(c, pool_problem(c.node(), c.type(0), c.dims(0), c.dims(2), PoolKind::max), 0, 2) ||
         lower_pool_loop_grad(c, PoolLoopProblem::Kind::max, 0, 1, 2);
}

bool lower_average(LowerContext& c) {
  const bool padding = c.node().get<int64_t>("count_include_pad", 0) != 0;
  const PoolKind kind = padding ? PoolKind::average_with_padding : PoolKind::average;
  return lower_pool_grad(c, pool_problem(c.node(), c.type(1), c.dims(0), c.dims(1), kind), 0, 1) ||
         lower_pool_loop_grad(c, PoolLoopProblem::Kind::average, 0, 0, 1);
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
