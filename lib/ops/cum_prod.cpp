#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 0, is_numeric, "a numeric type");
  require_type(c, 1, is_integer, "an integer type");
  const auto axis = c.integers(1);
  if (axis && axis->size() != 1) c.fail("axis has " + std::to_string(axis->size()) + " elements, expected 1");
  if (axis && c.has_rank(0)) c.axis(axis->front(), c.rank(0));
  c.set(0, c.type(0));
}

/// Products of integers keep their low bits.
template <class V>
V times(V a, V b) {
  if constexpr (std::is_integral_v<V>) return static_cast<V>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else return a * b;
}

/// Each element becomes the product of those up to it (before it with `exclusive`; from the end with `reverse`).
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto axes = c.input(1).to_int64s();
  if (axes.size() != 1) c.fail("axis has " + std::to_string(axes.size()) + " elements, expected 1");
  const int64_t axis = normalize_axis(axes[0], x.rank()), n = x.dims()[axis], step = row_major_strides(x.dims())[axis];
  const bool exclusive = c.node().get<int64_t>("exclusive", 0) != 0, reverse = c.node().get<int64_t>("reverse", 0) != 0;
  dispatch_number(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    for (int64_t i = 0; i < (n ? x.size() / n : 0); ++i) {
      const int64_t first = i / step * step * n + i % step;
      Calc<T> product = 1;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t at = first + (reverse ? n - 1 - k : k) * step;
        const Calc<T> next = times(product, static_cast<Calc<T>>(in[at]));
        out[at] = store<T>(exclusive ? product : next);
        product = next;
      }
    }
    c.set(0, std::move(y));
  });
}

}  // namespace

extern const Op cum_prod;
const Op cum_prod = {.name = "CumProd", .since = 26, .until = 26, .infer = infer, .evaluate = evaluate, .cost = cost_elementwise};

}  // namespace espalier::ops
