#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/pool.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  require_type(c, 0, is_float, "a float type");
  infer_pool(c);
}

double power(const Node& node) {
  return node.version < 2 ? static_cast<double>(node.get<float>("p", 2.0f)) : static_cast<double>(node.get<int64_t>("p", 2));
}

/// (sum of |x|^p under the window)^(1/p)
template <class T>
void evaluate_as(EvaluateContext& c) {
  const Pool pool(c);
  const double p = power(c.node());
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

}  // namespace

extern const Op lp_pool;
const Op lp_pool = {
    .name = "LpPool",
    .infer = infer,
    .evaluate = evaluate,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_pool,
};

}  // namespace espalier::ops
