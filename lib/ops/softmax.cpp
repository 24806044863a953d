// Softmax, LogSoftmax, Hardmax: over one axis since opset 13, over all from `axis` on, as one, before.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/softmax.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

int64_t axis_of(const Node& node) { return node.get<int64_t>("axis", node.version >= 13 ? -1 : 1); }

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  if (c.has_rank(0)) {
    const int64_t axis = axis_of(c.node()), rank = c.rank(0);
    const bool flattens_nothing = c.version() < 13 && (axis == rank || rank == 0);
    if (!flattens_nothing && rank > 0) c.axis(axis, rank);
  }
  c.set(0, c.type(0));
}

/// Calls line(begin, step, n) for each set of elements that is normalised together.
template <class Line>
void for_each_line(const EvaluateContext& c, Line line) {
  const Dims& dims = c.input(0).dims();
  const int64_t size = c.input(0).size(), rank = c.input(0).rank();
  if (size == 0) return;
  int64_t axis = axis_of(c.node());
  if (axis < 0) axis += rank;
  axis = std::min(axis, rank);
  const Dims from_axis(dims.begin() + axis, dims.end());
  const Dims behind(from_axis.begin() + (from_axis.empty() ? 0 : 1), from_axis.end());
  const int64_t inner = c.version() >= 13 ? element_count(behind) : 1;
  const int64_t n = element_count(from_axis) / inner;
  parallel_for(size / n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) line(i / inner * inner * n + i % inner, inner, n);
  });
}

/// finish(x - max, sum of exp(x - max)) for each element.
template <class Finish>
void normalize(EvaluateContext& c, Finish finish) {
  const Tensor& x = c.input(0);
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    for_each_line(c, [&](int64_t begin, int64_t step, int64_t n) {
      double top = static_cast<double>(in[begin]), sum = 0;
      for (int64_t i = 0; i < n; ++i) top = std::max(top, static_cast<double>(in[begin + i * step]));
      for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(in[begin + i * step]) - top);
      for (int64_t i = 0; i < n; ++i) {
        out[begin + i * step] = store<T>(finish(static_cast<double>(in[begin + i * step]) - top, sum));
      }
    });
    c.set(0, std::move(y));
  });
}

void softmax_evaluate(EvaluateContext& c) {
  normalize(c, [](double v, double sum) { return std::exp(v) / sum; });
}

void log_softmax_evaluate(EvaluateContext& c) {
  normalize(c, [](double v, double sum) { return v - std::log(sum); });
}

void hardmax_evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    for_each_line(c, [&](int64_t begin, int64_t step, int64_t n) {
      int64_t best = 0;
      for (int64_t i = 1; i < n; ++i) {
        if (static_cast<Calc<T>>(in[begin + i * step]) > static_cast<Calc<T>>(in[begin + best * step])) best = i;
      }
      out[begin + best * step] = store<T>(1.0f);
    });
    c.set(0, std::move(y));
  });
}

/// Maximum, difference, exponential, sum and quotient.
Cost cost(const InferContext& c) { return {.flops = checked_mul(5, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

/// Along one axis, or before version 13 along all from it on.
std::vector<Attribute> line_of(const GradientContext& c) {
  return {{"axis", axis_of(c.node()), {}}, {"flatten", int64_t{c.node().version < 13}, {}}};
}

void softmax_gradient(GradientContext& c) { c.set_grad(0, c.add("SoftmaxGrad", {c.output(), c.grad_output()}, line_of(c))); }

void log_softmax_gradient(GradientContext& c) {
  c.set_grad(0, c.add("LogSoftmaxGrad", {c.output(), c.grad_output()}, line_of(c)));
}

/// A choice has no slope.
void no_gradient(GradientContext&) {}

/// Over one axis of the plain tensor; before version 13 over all axes from `axis` on as one.
template <bool kLogarithm>
bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || dims.empty() || element_count(dims) == 0) return false;
  const Layout plain = Layout::plain(DataType::float32, dims);
  const Operand x = c.read(0, plain);
  c.step(softmax(softmax_problem(dims, axis_of(c.node()), c.node().version < 13, kLogarithm)), {x, c.write_over(0, x, plain)}, "loop");
  return true;
}

/// Arguments: x, y.
class HardmaxLoop : public Kernel {
 public:
  explicit HardmaxLoop(const SoftmaxProblem& problem) : p_(problem) {}
  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }
  void run() override {
    parallel_for(p_.outer * p_.inner, std::max<int64_t>(1, kElementGrain / p_.count), [this](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / p_.inner * p_.count * p_.inner + i % p_.inner;
        int64_t best = 0;
        for (int64_t k = 0; k < p_.count; ++k) {
          if (x_[first + k * p_.inner] > x_[first + best * p_.inner]) best = k;
          y_[first + k * p_.inner] = 0;
        }
        y_[first + best * p_.inner] = 1;
      }
    });
  }

 private:
  SoftmaxProblem p_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

bool hardmax_lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || dims.empty() || element_count(dims) == 0) return false;
  const Layout plain = Layout::plain(DataType::float32, dims);
  const Operand x = c.read(0, plain);
  c.step(std::make_unique<HardmaxLoop>(softmax_problem(dims, axis_of(c.node()), c.node().version < 13, false)), {x, c.write(0, plain)}, "loop");
  return true;
}

}  // namespace

extern const Op softmax;
const Op softmax = {
    .name = "Softmax",
    .infer = infer,
    .evaluate = softmax_evaluate,
    .lower = lower<false>,
    .gradient = softmax_gradient,
    .units = units::softmax,
    .cut = cuts::counting,
    .cost = cost,
};

extern const Op log_softmax;
const Op log_softmax = {
    .name = "LogSoftmax",
    .infer = infer,
    .evaluate = log_softmax_evaluate,
    .lower = lower<true>,
    .gradient = log_softmax_gradient,
    .units = units::softmax,
    .cut = cuts::counting,
    .cost = cost,
};

extern const Op hardmax;
const Op hardmax = {
    .name = "Hardmax",
    .infer = infer,
    .evaluate = hardmax_evaluate,
    .lower = hardmax_lower,
    .gradient = no_gradient,
    .units = units::softmax,
    .cut = cuts::counting,
    .cost = cost,
};

}  // namespace espalier::ops
