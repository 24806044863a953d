#include <cmath>

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

/// (sum of |x|^p under the window)^(1/p)
template <class T>
void evaluate_as(EvaluateContext& c) {
  const Pool pool(c);
  const double p = lp_power(c.node());
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
          for (int64_t i = 0; i < run.length; ++i) sums[run.out + i] += std::pow(std::abs(static_cast<double>(from[i * tap.step])), p);
        }
      }
      for (int64_t i = 0; i < pool.out_size; ++i) out[plane * pool.out_size + i] = store<T>(std::pow(sums[i], 1 / p));
    }
  });
  c.set(0, std::move(y));
}

void evaluate(EvaluateContext& c) {
  dispatch_float(c.input(0).type(), [&]<class T>() { evaluate_as<T>(c); });
}

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("LpPoolGrad", {c.input(0), c.output(), c.grad_output()}, c.node().attributes));
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
}

/// dx = dy sign(x) (|x| / y)^(p - 1), 0 where all under a window are 0.
void evaluate_grad(EvaluateContext& c) {
  const Tensor& like = c.input(0);
  const double p = lp_power(c.node());
  const auto x = like.to_doubles(), y = c.input(1).to_doubles(), dy = c.input(2).to_doubles();
  Tensor dx(DataType::float64, like.dims());
  const auto out = dx.mutable_data<double>();
  const auto add = [&](size_t at, size_t from) {
    if (x[at] != 0 && y[from] != 0) out[at] += dy[from] * (x[at] < 0 ? -1 : 1) * std::pow(std::abs(x[at]) / y[from], p - 1);
  };
  if (!c.node().has("kernel_shape")) {  // of GlobalLpPool
    const size_t size = y.empty() ? 0 : x.size() / y.size();
    parallel_for(static_cast<int64_t>(y.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin) * size; i < static_cast<size_t>(end) * size; ++i) add(i, i / size);
    });
    return c.set(0, dx.cast(like.type()));
  }
  const Pool pool(c);
  parallel_for(pool.planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      for (const TapRuns& tap : pool.taps) {
        for (const TapRuns::Run& run : tap.runs) {
          for (int64_t i = 0; i < run.length; ++i) {
            add(static_cast<size_t>(plane * pool.in_size + run.in + i * tap.step), static_cast<size_t>(plane * pool.out_size + run.out + i));
          }
        }
      }
    }
  });
  c.set(0, dx.cast(like.type()));
}

bool lower(LowerContext& c) { return lower_pool_loop(c, PoolLoopProblem::Kind::power); }
bool lower_grad(LowerContext& c) { return lower_pool_loop_grad(c, PoolLoopProblem::Kind::power, 0, 1, 2); }

}  // namespace

extern const Op lp_pool;
const Op lp_pool = {
    .name = "LpPool",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_pool,
};

/// LpPoolGrad(x, y, dy) -> dx, with the attributes of LpPool; without kernel_shape of GlobalLpPool.
extern const Op lp_pool_grad;
const Op lp_pool_grad = {
    .name = "LpPoolGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
};

}  // namespace espalier::ops
