#include "lib/ops/cost.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.set(0, DataType::int64, {c.has_rank(0) ? Dim(c.rank(0)) : Dim(), Dim()});
}

void evaluate(EvaluateContext& c) {
  const auto set = c.input(0).cast(DataType::boolean);
  const auto values = set.data<bool>();
  const Dims strides = row_major_strides(c.input(0).dims());
  std::vector<int64_t> found;
  for (int64_t i = 0; i < set.size(); ++i) {
    if (values[i]) found.push_back(i);
  }
  Tensor out(DataType::int64, {c.input(0).rank(), static_cast<int64_t>(found.size())});
  const auto at = out.mutable_data<int64_t>();
  for (size_t a = 0; a < strides.size(); ++a) {
    for (size_t i = 0; i < found.size(); ++i) at[a * found.size() + i] = found[i] / strides[a] % c.input(0).dims()[a];
  }
  c.set(0, std::move(out));
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op non_zero;
const Op non_zero = {.name = "NonZero", .since = 9, .infer = infer, .evaluate = evaluate, .cost = cost};

}  // namespace espalier::ops
