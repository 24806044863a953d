#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/matmul_loop.h"

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

/// Each element becomes the sum of those up to it (before it with `exclusive`; from the end with `reverse`).
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
    parallel_for(n ? x.size() / n : 0, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / step * step * n + i % step;
        Sum<T> sum = 0;
        for (int64_t k = 0; k < n; ++k) {
          const int64_t at = first + (reverse ? n - 1 - k : k) * step;
          const Sum<T> next = wrap_add(sum, static_cast<Sum<T>>(in[at]));
          out[at] = store<T>(exclusive ? sum : next);
          sum = next;
        }
      }
    });
    c.set(0, std::move(y));
  });
}

}  // namespace

extern const Op cum_sum;
const Op cum_sum = {
    .name = "CumSum",
    .since = 11,
    .infer = infer,
    .evaluate = evaluate,
    .cost = cost_elementwise,
};

}  // namespace espalier::ops
