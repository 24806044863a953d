#include <algorithm>
#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/quantization.h"

namespace espalier::ops {
namespace {

/// x: float -> y: uint8 like x, scale: x's type [], zero point: uint8 [].
void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  Type type = c.type(0);
  const DataType scale = type.elem_type;
  type.kind = Type::Kind::tensor;
  type.elem_type = DataType::uint8;
  c.set(0, std::move(type));
  if (c.has_output(1)) c.set(1, scale, {});
  if (c.has_output(2)) c.set(2, DataType::uint8, {});
}

/// The range of x, 0 included, over 255 steps; all zeros have scale 1 in effect: nothing divides by 0.
/// Source: ONNX DynamicQuantizeLinear-11.
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  dispatch_float(x.type(), [&]<class T>() {
    using V = Calc<T>;
    V low = 0, high = 0;
    for (const T v : x.data<T>()) {
      low = std::min(low, static_cast<V>(v));
      high = std::max(high, static_cast<V>(v));
    }
    const V scale = (high - low) / V(255), divisor = scale == 0 ? V(1) : scale;
    const V zero = std::nearbyint(std::clamp(-low / divisor, V(0), V(255)));
    Tensor numbers(DataType::float64, x.dims());
    const auto out = numbers.mutable_data<double>();
    const auto in = x.data<T>();
    for (int64_t i = 0; i < x.size(); ++i) out[i] = static_cast<double>(std::nearbyint(static_cast<V>(in[i]) / divisor) + zero);
    c.set(0, saturated(numbers, DataType::uint8));
    if (c.has_output(1)) c.set(1, Tensor::scalar(store<T>(scale)));
    if (c.has_output(2)) c.set(2, Tensor::scalar(static_cast<uint8_t>(zero)));
  });
}

}  // namespace

extern const Op dynamic_quantize_linear;
const Op dynamic_quantize_linear = {.name = "DynamicQuantizeLinear", .since = 11, .infer = infer, .evaluate = evaluate, .cost = cost_elementwise};

}  // namespace espalier::ops
