#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

/// dx = f(y, dy, sum over the class axis of g(y, dy)).
template <class Term, class Result>
void evaluate_rows(EvaluateContext& c, Term&& term, Result&& result) {
  const Tensor y = c.input(0).cast(DataType::float64), dy = c.input(1).cast(DataType::float64);
  Tensor dx(DataType::float64, y.dims());
  const Dims& dims = y.dims();
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", -1), y.rank());
  const bool flatten = c.node().get<int64_t>("flatten", 0) != 0;
  const int64_t last = flatten ? y.rank() : axis + 1;
  const int64_t outer = element_count({dims.begin(), dims.begin() + axis});
  const int64_t classes = element_count({dims.begin() + axis, dims.begin() + last});
  const int64_t inner = element_count({dims.begin() + last, dims.end()});
  const auto from = y.data<double>(), grad = dy.data<double>();
  const auto to = dx.mutable_data<double>();
  parallel_for(outer * inner, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i / inner * classes * inner + i % inner, stop = start + classes * inner;
      double sum = 0;
      for (int64_t j = start; j < stop; j += inner) sum += term(from[j], grad[j]);
      for (int64_t j = start; j < stop; j += inner) to[j] = result(from[j], grad[j], sum);
    }
  });
  c.set(0, dx.cast(c.input(1).type()));
}

void softmax(EvaluateContext& c) {
  evaluate_rows(c, [](double y, double dy) { return y * dy; },
                [](double y, double dy, double sum) { return y * (dy - sum); });
}

void log_softmax(EvaluateContext& c) {
  evaluate_rows(c, [](double, double dy) { return dy; },
                [](double y, double dy, double sum) { return dy - std::exp(y) * sum; });
}

}  // namespace

/// SoftmaxGrad(y, dy) {axis, flatten}: along `axis`; with flatten = 1 (Softmax before opset 13) along `axis` and all
/// behind it, taken as one.
extern const Op softmax_grad;
const Op softmax_grad = {.name = "SoftmaxGrad", .domain = kInternalDomain, .infer = infer, .evaluate = softmax};

/// LogSoftmaxGrad(y, dy) {axis, flatten}, likewise.
extern const Op log_softmax_grad;
const Op log_softmax_grad = {.name = "LogSoftmaxGrad", .domain = kInternalDomain, .infer = infer, .evaluate = log_softmax};

}  // namespace espalier::ops
