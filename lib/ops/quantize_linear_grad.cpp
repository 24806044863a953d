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
};

/// DequantizeLinearGrad(dy, scale) -> dx = dy * scale. Attributes as DequantizeLinear.
extern const Op dequantize_linear_grad;
const Op dequantize_linear_grad = {
    .name = "DequantizeLinearGrad",
    .domain = kInternalDomain,
    .infer = infer_dequantize_grad,
    .evaluate = evaluate_dequantize_grad,
};

}  // namespace espalier::ops
