#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

/// x: [N, C, D1 ...]; y like x.
void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 2, kMaxRank);
  require_type(c, 0, is_float, "a float type");
  const auto size = c.node().require<int64_t>("size");
  if (size < 1) c.fail("size is " + std::to_string(size) + ", expected at least 1");
  c.set(0, c.type(0));
}

/// y = x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto size = c.node().require<int64_t>("size");
  const double alpha = static_cast<double>(c.node().get<float>("alpha", 1e-4f)) / static_cast<double>(size);
  const double beta = static_cast<double>(c.node().get<float>("beta", 0.75f)), bias = static_cast<double>(c.node().get<float>("bias", 1.0f));
  const int64_t channels = x.dims()[1], planes = x.dims()[0] * channels, plane = planes ? x.size() / planes : 0;
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    parallel_for(planes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t k = p % channels, first = p - k;
        const int64_t from = std::max<int64_t>(0, k - (size - 1) / 2), to = std::min(channels - 1, k + size / 2);
        for (int64_t i = 0; i < plane; ++i) {
          double squares = 0;
          for (int64_t j = from; j <= to; ++j) {
            const double v = static_cast<double>(in[(first + j) * plane + i]);
            squares += v * v;
          }
          out[p * plane + i] = store<T>(static_cast<double>(in[p * plane + i]) / std::pow(bias + alpha * squares, beta));
        }
      }
    });
    c.set(0, std::move(y));
  });
}

/// The window of squares and the power of each element.
Cost cost(const InferContext& c) {
  const int64_t each = checked_add(2 * std::min<int64_t>(c.node().require<int64_t>("size"), 1 << 20), 4);
  return {.flops = checked_mul(each, known_elements(c.type(0))), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op lrn;
const Op lrn = {
    .name = "LRN",
    .infer = infer,
    .evaluate = evaluate,
    .cost = cost,
};

}  // namespace espalier::ops
