#include "lib/ops/lower.h"
#include "lib/ops/quantization.h"

namespace espalier::ops {
namespace {

Tensor numbers(const Tensor& x) { return (is_narrow(x.type()) ? widen(x) : x).cast(DataType::float64); }

void infer_quantize_grad(InferContext& c) {
  c.require_inputs(2, 4);
  Type type = c.type(3);
  if (!type.has_rank()) type.dims = c.type(0).dims;
  c.set(0, std::move(type));
}

void infer_dequantize_grad(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

/// Range of what QuantizeLinear makes; all numbers for narrow floats, which saturate beyond what gradients see.
QuantizedRange range_of(DataType type) {
  return is_quantized_integer(type) ? quantized_range(type) : QuantizedRange{-INFINITY, INFINITY};
}

void evaluate_quantize_grad(EvaluateContext& c) {
  const Tensor x = numbers(c.input(0)), scale = numbers(c.input(1)), dy = numbers(c.input(3));
  const DataType type = quantized_type(c.node(), c.has_input(2) ? c.input(2).type() : DataType::undefined);
  const Tensor zeros = c.has_input(2) ? numbers(c.input(2)) : Tensor(DataType::float64, scale.dims());
  const auto [low, high] = range_of(type);
  Tensor dx(DataType::float64, x.dims());
  const auto out = dx.mutable_data<double>();
  const auto in = x.data<double>(), by = scale.data<double>(), zero = zeros.data<double>(), grad = dy.data<double>();
  for_each_run(granularity(c.node(), x.dims(), scale.dims()), [&, lo = low, hi = high](int64_t first, int64_t n, int64_t at, int64_t step) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t k = at + i * step;
      const double q = in[first + i] / by[k] + zero[k];
      out[first + i] = q >= lo && q <= hi ? grad[first + i] / by[k] : 0;
    }
  });
  c.set(0, dx.cast(c.input(3).type()));
}

void evaluate_dequantize_grad(EvaluateContext& c) {
  const Tensor dy = numbers(c.input(0)), scale = numbers(c.input(1));
  Tensor dx(DataType::float64, dy.dims());
  const auto out = dx.mutable_data<double>();
  const auto grad = dy.data<double>(), by = scale.data<double>();
  for_each_run(granularity(c.node(), dy.dims(), scale.dims()), [&](int64_t first, int64_t n, int64_t at, int64_t step) {
    for (int64_t i = 0; i < n; ++i) out[first + i] = grad[first + i] * by[at + i * step];
  });
  c.set(0, dx.cast(c.input(0).type()));
}

/// Constant scales of float gradients; zero points and the range of the quantized type where x decides what passes.
struct GradProblem {
  Granularity granularity;
  std::vector<float> scale, zero;
  float low = -INFINITY, high = INFINITY;
};

/// Arguments: x, dy, dx. dx = dy / scale where x / scale + zero is in the range.
class QuantizeGradLoop : public Kernel {
 public:
  explicit QuantizeGradLoop(GradProblem problem) : p_(std::move(problem)) {}
  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    dy_ = static_cast<const float*>(args[1]);
    dx_ = static_cast<float*>(args[2]);
  }
  void run() override {
    for_each_run(p_.granularity, [this](int64_t first, int64_t n, int64_t at, int64_t step) {
      for (int64_t i = 0; i < n; ++i) {
        const auto k = static_cast<size_t>(at + i * step);
        const float q = x_[first + i] / p_.scale[k] + p_.zero[k];
        dx_[first + i] = q >= p_.low && q <= p_.high ? dy_[first + i] / p_.scale[k] : 0.0f;
      }
    });
  }

 private:
  GradProblem p_;
  const float *x_ = nullptr, *dy_ = nullptr;
  float* dx_ = nullptr;
};

/// Arguments: dy, dx. dx = dy * scale.
class DequantizeGradLoop : public Kernel {
 public:
  explicit DequantizeGradLoop(GradProblem problem) : p_(std::move(problem)) {}
  void bind(std::span<void* const> args) override {
    dy_ = static_cast<const float*>(args[0]);
    dx_ = static_cast<float*>(args[1]);
  }
  void run() override {
    for_each_run(p_.granularity, [this](int64_t first, int64_t n, int64_t at, int64_t step) {
      for (int64_t i = 0; i < n; ++i) dx_[first + i] = dy_[first + i] * p_.scale[static_cast<size_t>(at + i * step)];
    });
  }

 private:
  GradProblem p_;
  const float* dy_ = nullptr;
  float* dx_ = nullptr;
};

std::vector<float> as_floats(const Tensor& t) {
  const auto wide = numbers(t).to_doubles();
  return {wide.begin(), wide.end()};
}

/// Of float gradients `dy`, and scales that are constant.
std::optional<GradProblem> problem(const LowerContext& c, size_t dy) {
  const Tensor* scale = c.constant(1);
  const Dims dims = c.dims(0);
  if (!scale || c.type(0) != DataType::float32 || c.type(dy) != DataType::float32 || element_count(dims) == 0 || c.dims(dy) != dims) return std::nullopt;
  GradProblem p{granularity(c.node(), dims, scale->dims()), as_floats(*scale), {}};
  p.zero.assign(p.scale.size(), 0.0f);
  return p;
}

bool lower_quantize_grad(LowerContext& c) {
  auto p = problem(c, 3);
  if (!p || (c.has_input(2) && !c.constant(2))) return false;
  if (c.has_input(2)) p->zero = as_floats(*c.constant(2));
  if (p->zero.size() != p->scale.size()) return false;
  const auto [low, high] = range_of(quantized_type(c.node(), c.has_input(2) ? c.type(2) : DataType::undefined));
  p->low = static_cast<float>(low);
  p->high = static_cast<float>(high);
  const Layout plain = Layout::plain(DataType::float32, c.dims(0));
  const Operand x = c.read(0, plain), dy = c.read(3, plain);
  c.step(std::make_unique<QuantizeGradLoop>(std::move(*p)), {x, dy, c.write(0, plain)}, "loop");
  return true;
}

bool lower_dequantize_grad(LowerContext& c) {
  auto p = problem(c, 0);
  if (!p) return false;
  const Layout plain = Layout::plain(DataType::float32, c.dims(0));
  const Operand dy = c.read(0, plain);
  c.step(std::make_unique<DequantizeGradLoop>(std::move(*p)), {dy, c.write(0, plain)}, "loop");
  return true;
}

}  // namespace

/// QuantizeLinearGrad(x, scale, zero_point, dy) -> dx = dy / scale where x / scale + zero_point lies in the range of the
/// quantized type, else 0: the straight-through estimator, by which rounding counts as the identity. Attributes as
/// QuantizeLinear. Source: Bengio, Leonard, Courville 2013, "Estimating or propagating gradients through stochastic neurons".
extern const Op quantize_linear_grad;
const Op quantize_linear_grad = {
    .name = "QuantizeLinearGrad",
    .domain = kInternalDomain,
    .infer = infer_quantize_grad,
    .evaluate = evaluate_quantize_grad,
    .lower = lower_quantize_grad,
};

/// DequantizeLinearGrad(dy, scale) -> dx = dy * scale. Attributes as DequantizeLinear.
extern const Op dequantize_linear_grad;
const Op dequantize_linear_grad = {
    .name = "DequantizeLinearGrad",
    .domain = kInternalDomain,
    .infer = infer_dequantize_grad,
    .evaluate = evaluate_dequantize_grad,
    .lower = lower_dequantize_grad,
};

}  // namespace espalier::ops
