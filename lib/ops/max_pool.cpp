#include <limits>

#include "lib/base/parallel.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/pool.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

bool is_allowed(DataType type) { return is_float(type) || type == DataType::int8 || type == DataType::uint8; }

void infer(InferContext& c) {
  require_type(c, 0, is_allowed, "a float type, int8 or uint8");
  infer_pool(c);
}

/// The position in column-major order (first spatial axis fastest) of a row-major one.
int64_t column_major(int64_t position, const Dims& sizes) {
  int64_t result = 0;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    int64_t stride = 1;
    for (size_t i = 0; i < axis; ++i) stride *= sizes[i];
    result += position % sizes[axis] * stride;
    position /= sizes[axis];
  }
  return result;
}

template <class T>
T lowest() {
  if constexpr (std::is_integral_v<T>) return std::numeric_limits<T>::lowest();
  else return store<T>(-std::numeric_limits<float>::infinity());
}

/// A NaN wins, the first one.
template <class V>
bool beats(V value, V best) {
  return value > best || (value != value && best == best);
}

/// Indices count through the whole of x; the first of equal maxima is taken.
template <class T>
void evaluate_as(EvaluateContext& c) {
  const Pool pool(c);
  const bool by_columns = c.node().get<int64_t>("storage_order", 0) != 0;
  Tensor y(c.input(0).type(), pool.dims), indices(DataType::int64, pool.dims);
  const auto x = c.input(0).data<T>();
  const auto best = y.mutable_data<T>();
  const auto where = indices.mutable_data<int64_t>();
  parallel_for(pool.planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const T* from = x.data() + plane * pool.in_size;
      T* to = best.data() + plane * pool.out_size;
      int64_t* at = where.data() + plane * pool.out_size;
      std::fill(to, to + pool.out_size, lowest<T>());
      std::fill(at, at + pool.out_size, -1);
      for (const TapRuns& tap : pool.taps) {
        for (const TapRuns::Run& run : tap.runs) {
          for (int64_t i = 0; i < run.length; ++i) {
            const int64_t source = run.in + i * tap.step, o = run.out + i;
            if (at[o] >= 0 && !beats(static_cast<Calc<T>>(from[source]), static_cast<Calc<T>>(to[o]))) continue;
            to[o] = from[source];
            at[o] = source;
          }
        }
      }
      for (int64_t i = 0; i < pool.out_size; ++i) {
        if (at[i] >= 0) at[i] = plane * pool.in_size + (by_columns ? column_major(at[i], pool.in) : at[i]);
      }
    }
  });
  c.set(0, std::move(y));
  if (c.has_output(1)) c.set(1, std::move(indices));
}

void evaluate(EvaluateContext& c) {
  const DataType type = c.input(0).type();
  if (type == DataType::int8) evaluate_as<int8_t>(c);
  else if (type == DataType::uint8) evaluate_as<uint8_t>(c);
  else dispatch_float(type, [&]<class T>() { evaluate_as<T>(c); });
}

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("MaxPoolGrad", {c.input(0), c.output(), c.grad_output()}, c.node().attributes));
}

bool lower(LowerContext& c) {
  if (!c.has_output(0)) return false;  // indices alone
  return lower_pool(c, pool_problem(c.node(), c.type(0), c.dims(0), c.output_dims(0), PoolKind::max)) ||
         lower_pool_loop(c, PoolLoopProblem::Kind::max);
}

}  // namespace

extern const Op max_pool;
const Op max_pool = {
    .name = "MaxPool",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::spatial,
    .cut = cuts::spatial,
    .cost = cost_pool,
};

}  // namespace espalier::ops
