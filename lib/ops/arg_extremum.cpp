// ArgMax, ArgMin: where along an axis the largest or smallest element stands; the first one, or the last on request.

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_numeric, "a numeric type");
  if (!c.has_rank(0)) return c.set(0, Type::tensor(DataType::int64));
  SymbolicDims dims = c.dims(0);
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(0));
  if (dims[axis].is(0)) c.fail("axis " + std::to_string(axis) + " of the input is empty");
  if (c.node().get<int64_t>("keepdims", 1) != 0) dims[axis] = 1;
  else dims.erase(dims.begin() + axis);
  c.set(0, DataType::int64, std::move(dims));
}

template <class Better>
void evaluate(EvaluateContext& c, Better better) {
  const Tensor& x = c.input(0);
  const auto axis = static_cast<size_t>(normalize_axis(c.node().get<int64_t>("axis", 0), x.rank()));
  const bool last = c.node().get<int64_t>("select_last_index", 0) != 0;
  Dims dims = x.dims();
  const int64_t n = dims[axis], step = row_major_strides(dims)[axis];
  if (n == 0) c.fail("axis " + std::to_string(axis) + " of the input is empty");
  if (c.node().get<int64_t>("keepdims", 1) != 0) dims[axis] = 1;
  else dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  Tensor y(DataType::int64, dims);
  const auto out = y.mutable_data<int64_t>();
  dispatch_number(x.type(), [&]<class T>() {
    const auto in = x.data<T>();
    parallel_for(y.size(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / step * step * n + i % step;
        const auto at = [&](int64_t k) { return static_cast<Calc<T>>(in[first + k * step]); };
        int64_t best = 0;
        for (int64_t k = 1; k < n; ++k) {
          if (better(at(k), at(best)) || (last && at(k) == at(best))) best = k;
        }
        out[i] = best;
      }
    });
  });
  c.set(0, std::move(y));
}

void arg_max_evaluate(EvaluateContext& c) {
  evaluate(c, [](auto a, auto b) { return a > b; });
}
void arg_min_evaluate(EvaluateContext& c) {
  evaluate(c, [](auto a, auto b) { return a < b; });
}

Cost cost(const InferContext& c) { return {.flops = known_elements(c.type(0)), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op arg_max;
const Op arg_max = {
    .name = "ArgMax",
    .infer = infer,
    .evaluate = arg_max_evaluate,
    .cost = cost,
};

extern const Op arg_min;
const Op arg_min = {
    .name = "ArgMin",
    .infer = infer,
    .evaluate = arg_min_evaluate,
    .cost = cost,
};

}  // namespace espalier::ops
