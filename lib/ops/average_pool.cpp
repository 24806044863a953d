#include "lib/base/parallel.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/pool.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  require_type(c, 0, is_float, "a float type");
  infer_pool(c);
}

template <class T>
void evaluate_as(EvaluateContext& c) {
  const Pool pool(c);
  const std::vector<double> counts = average_divisors(pool, c.node().get<int64_t>("count_include_pad", 0) != 0);
  Tensor y(c.input(0).type(), pool.dims);
  const auto x = c.input(0).data<T>();
  const auto out = y.mutable_data<T>();
  parallel_for(pool.planes, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(pool.out_size));
    for (int64_t plane = begin; plane < end; ++plane) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (const TapRuns& tap : pool.taps) {
        for (const TapRuns::Run& run : tap.runs) {
          const T* from = x.data() + plane * pool.in_size + run.in;
          for (int64_t i = 0; i < run.length; ++i) sums[run.out + i] += static_cast<double>(from[i * tap.step]);
        }
      }
      for (int64_t i = 0; i < pool.out_size; ++i) out[plane * pool.out_size + i] = store<T>(sums[i] / counts[i]);
    }
  });
  c.set(0, std::move(y));
}

void evaluate(EvaluateContext& c) {
  dispatch_float(c.input(0).type(), [&]<class T>() { evaluate_as<T>(c); });
}

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("AveragePoolGrad", {c.input(0), c.grad_output()}, c.node().attributes));
}

bool lower(LowerContext& c) {
  const bool padding = c.node().get<int64_t>("count_include_pad", 0) != 0;
  const PoolKind kind = padding ? PoolKind::average_with_padding : PoolKind::average;
  return lower_pool(c, pool_problem(c.node(), c.type(0), c.dims(0), c.output_dims(0), kind)) ||
         lower_pool_loop(c, PoolLoopProblem::Kind::average);
}

}  // namespace

extern const Op average_pool;
const Op average_pool = {
    .name = "AveragePool",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_pool,
};

}  // namespace espalier::ops
