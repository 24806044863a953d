// GlobalAveragePool, GlobalMaxPool, GlobalLpPool: one number per plane.

#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/pool.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// y = finish(fold of step over the plane from `start` on), in double.
template <class Step, class Finish>
void fold_planes(EvaluateContext& c, double start, Step step, Finish finish) {
  const Tensor& x = c.input(0);
  Dims dims(x.dims().size(), 1);
  dims[0] = x.dims()[0];
  dims[1] = x.dims()[1];
  const int64_t planes = dims[0] * dims[1];
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), dims);
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    const int64_t size = planes ? x.size() / planes : 0;
    parallel_for(planes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        double value = start;
        for (int64_t i = 0; i < size; ++i) value = step(value, static_cast<double>(in[plane * size + i]));
        out[plane] = store<T>(finish(value, static_cast<double>(size)));
      }
    });
    c.set(0, std::move(y));
  });
}

void average_evaluate(EvaluateContext& c) {
  fold_planes(c, 0.0, [](double sum, double v) { return sum + v; }, [](double sum, double n) { return sum / n; });
}

void max_evaluate(EvaluateContext& c) {
  fold_planes(c, -std::numeric_limits<double>::infinity(), [](double best, double v) { return v > best || v != v ? v : best; },
              [](double best, double) { return best; });
}

void lp_evaluate(EvaluateContext& c) {
  const double p = lp_power(c.node());
  fold_planes(c, 0.0, [p](double sum, double v) { return sum + std::pow(std::abs(v), p); },
              [p](double sum, double) { return std::pow(sum, 1 / p); });
}

void average_gradient(GradientContext& c) { c.set_grad(0, c.add("GlobalAveragePoolGrad", {c.input(0), c.grad_output()})); }

template <PoolKind kKind>
bool lower(LowerContext& c) {
  return lower_pool(c, global_pool_problem(c.type(0), c.dims(0), c.output_dims(0), kKind)) ||
         lower_pool_loop(c, kKind == PoolKind::max ? PoolLoopProblem::Kind::max : PoolLoopProblem::Kind::average);
}

bool lp_lower(LowerContext& c) { return lower_pool_loop(c, PoolLoopProblem::Kind::power); }

void lp_gradient(GradientContext& c) {
  c.set_grad(0, c.add("LpPoolGrad", {c.input(0), c.output(), c.grad_output()}, c.node().attributes));
}

/// Equal maxima share the gradient.
void max_gradient(GradientContext& c) {
  const ValueId hit = c.add("Matches", {c.input(0), c.output()});
  c.set_grad(0, c.add("Mul", {hit, c.add("Div", {c.grad_output(), c.add("SumTo", {hit, c.output()})})}));
}

}  // namespace

extern const Op global_average_pool;
const Op global_average_pool = {
    .name = "GlobalAveragePool",
    .infer = infer_global_pool,
    .evaluate = average_evaluate,
    .lower = lower<PoolKind::average>,
    .gradient = average_gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_global_pool,
};

extern const Op global_max_pool;
const Op global_max_pool = {
    .name = "GlobalMaxPool",
    .infer = infer_global_pool,
    .evaluate = max_evaluate,
    .lower = lower<PoolKind::max>,
    .gradient = max_gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_global_pool,
};

extern const Op global_lp_pool;
const Op global_lp_pool = {
    .name = "GlobalLpPool",
    .infer = infer_global_pool,
    .evaluate = lp_evaluate,
    .lower = lp_lower,
    .gradient = lp_gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_global_pool,
};

}  // namespace espalier::ops
