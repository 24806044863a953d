#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"
#include "lib/ops/softmax.h"

namespace espalier {

SoftmaxProblem softmax_problem(const Dims& dims, int64_t axis, bool flatten, bool logarithm) {
  const auto rank = static_cast<int64_t>(dims.size());
  if (axis < 0) axis += rank;
  const auto first = dims.begin() + std::min(axis, rank), last = flatten ? dims.end() : first + 1;
  return {element_count({dims.begin(), first}), element_count({first, last}), element_count({last, dims.end()}), logarithm};
}

}  // namespace espalier

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

template <bool kLogarithm>
bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || dims.empty() || element_count(dims) == 0 || c.dims(1) != dims) return false;
  const Layout plain = Layout::plain(DataType::float32, dims);
  const bool flatten = c.node().get<int64_t>("flatten", 0) != 0;
  const Operand y = c.read(0, plain), dy = c.read(1, plain);
  c.step(softmax_backward(softmax_problem(dims, c.node().get<int64_t>("axis", -1), flatten, kLogarithm)),
         {y, dy, c.write_over(0, dy, plain)}, "loop");
  return true;
}

}  // namespace

/// SoftmaxGrad(y, dy) {axis, flatten}: along `axis`; with flatten = 1 (Softmax before opset 13) along `axis` and all
/// behind it, taken as one.
extern const Op softmax_grad;
const Op softmax_grad = {.name = "SoftmaxGrad", .domain = kInternalDomain, .infer = infer, .evaluate = softmax,
                         .lower = lower<false>};

/// LogSoftmaxGrad(y, dy) {axis, flatten}, likewise.
extern const Op log_softmax_grad;
const Op log_softmax_grad = {.name = "LogSoftmaxGrad", .domain = kInternalDomain, .infer = infer, .evaluate = log_softmax,
                             .lower = lower<true>};

}  // namespace espalier::ops
