// Quantization, and products of what is quantized. Sums of integers are exact and each step rounds once, in float, in an order
// that ONNX gives: results must be the same to the last bit, so operands are free of rounding.
#include "tests/fuzz/random_graph.h"

namespace espalier::testing {
namespace {

DataType byte_type(GraphDraw& g) { return g.chance(0.5) ? DataType::uint8 : DataType::int8; }

/// Zero points of `type`: none, or anywhere in the range.
ValueId zero_points(GraphDraw& g, DataType type, const Dims& dims, bool zero = false) {
  Tensor result(DataType::int64, dims);
  const int64_t low = type == DataType::uint8 ? 0 : -128;
  for (int64_t& z : result.mutable_data<int64_t>()) z = zero ? 0 : g.between(low, low + 255);
  return g.constant(result.cast(type));
}

/// A matrix or image of bytes as it is after a QuantizeLinear, and what it was quantized by.
struct Quantized {
  ValueId x, scale, zero;
};

Quantized quantized(GraphDraw& g, int least_rank, int most_rank, DataType type) {
  if (g.float_type() != DataType::float32) throw GraphDraw::Skip();
  const ValueId x = g.any({.least_rank = least_rank, .most_rank = most_rank, .exact = true});
  const ValueId scale = g.weight({}, 0.01, 0.1), zero = zero_points(g, type, {});
  return {g.add("QuantizeLinear", {x, scale, zero}, {}, true), scale, zero};
}

/// Constant bytes.
ValueId bytes(GraphDraw& g, DataType type, const Dims& dims) {
  Tensor result(DataType::int64, dims);
  const int64_t low = type == DataType::uint8 ? 0 : -128;
  for (int64_t& v : result.mutable_data<int64_t>()) v = g.between(low, low + 255);
  return g.constant(result.cast(type));
}

/// A graph may have one output only, a float: small numbers, that others go on with.
void as_float(GraphDraw& g, ValueId sums) {
  const ValueId x = g.add("Cast", {sums}, {attribute("to", static_cast<int64_t>(DataType::float32))}, true);
  g.add("Mul", {x, g.constant(Tensor::scalar(0x1p-16f))}, {}, true);
}

/// x -> integer -> x: only what is free of rounding may be rounded.
void quantize(GraphDraw& g) {
  if (g.float_type() != DataType::float32) throw GraphDraw::Skip();
  const ValueId x = g.any({.least_rank = 1, .exact = true});
  const int64_t axis = g.below(g.rank(x));
  const bool per_axis = g.chance(0.5);
  const Dims dims = per_axis ? Dims{g.dim(x, axis)} : Dims{};
  const ValueId scale = g.weight(dims, 0.01, 0.2);
  const ValueId zero_point = zero_points(g, byte_type(g), dims, g.chance(0.3));
  std::vector<Attribute> attributes;
  if (per_axis) attributes.push_back(attribute("axis", axis));
  const ValueId q = g.add("QuantizeLinear", {x, scale, zero_point}, attributes, true);
  g.add("DequantizeLinear", {q, scale, zero_point}, attributes, true);
}

/// Without its scale: a float that is rounded (what divides the range by 255 may differ by its last bit).
void dynamic_quantize(GraphDraw& g) {
  if (g.float_type() != DataType::float32) throw GraphDraw::Skip();
  const auto made = g.add_many("DynamicQuantizeLinear", {g.any({.least_rank = 1, .exact = true})}, 3, {}, true);
  g.add("DequantizeLinear", {made[0], made[1], made[2]}, {}, true);
}

/// Kernel and what goes with it, of a convolution of x [N, C, H, W].
struct Kernel {
  Dims weight;
  std::vector<Attribute> attributes;
};

Kernel kernel(GraphDraw& g, ValueId x) {
  const int64_t channels = g.dim(x, 1), group = g.chance(0.3) ? channels : 1;
  Kernel result{{group * g.between(1, group == 1 ? 9 : 2), channels / group}, {attribute("group", group)}};
  std::vector<int64_t> pads(4), sizes;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t k = std::min(g.between(1, 3), g.dim(x, static_cast<int64_t>(i) + 2));
    sizes.push_back(k);
    pads[i] = pads[i + 2] = g.between(0, k - 1);
  }
  result.weight.insert(result.weight.end(), sizes.begin(), sizes.end());
  result.attributes.push_back(attribute("kernel_shape", sizes));
  result.attributes.push_back(attribute("pads", pads));
  if (g.chance(0.5)) result.attributes.push_back(attribute("strides", std::vector<int64_t>{g.between(1, 2), g.between(1, 2)}));
  return result;
}

void conv_integer(GraphDraw& g) {
  const Quantized q = quantized(g, 4, 4, DataType::uint8);
  const Kernel k = kernel(g, q.x);
  const DataType type = byte_type(g);
  std::vector<ValueId> inputs = {q.x, bytes(g, type, k.weight)};
  if (g.chance(0.7)) inputs.insert(inputs.end(), {q.zero, zero_points(g, type, {})});
  as_float(g, g.add("ConvInteger", inputs, k.attributes, true));
}

void matmul_integer(GraphDraw& g) {
  const Quantized q = quantized(g, 2, 3, byte_type(g));
  const DataType type = byte_type(g);
  const int64_t columns = g.between(1, 9);
  std::vector<ValueId> inputs = {q.x, bytes(g, type, {g.dim(q.x, g.rank(q.x) - 1), columns})};
  if (g.chance(0.7)) inputs.insert(inputs.end(), {q.zero, zero_points(g, type, g.chance(0.3) ? Dims{columns} : Dims{})});
  as_float(g, g.add("MatMulInteger", inputs, {}, true));
}

/// Weights of a type that ONNX Runtime has: signed, or like x; symmetric where each channel has a scale.
void qlinear_conv(GraphDraw& g) {
  const DataType x_type = byte_type(g), w_type = g.chance(0.6) ? DataType::int8 : x_type;
  const Quantized q = quantized(g, 4, 4, x_type);
  const Kernel k = kernel(g, q.x);
  const bool per_channel = g.chance(0.5);
  const Dims scales = per_channel ? Dims{k.weight[0]} : Dims{};
  const ValueId zero = per_channel ? zero_points(g, w_type, scales, w_type == DataType::int8) : zero_points(g, w_type, {});
  std::vector<ValueId> inputs = {q.x,  q.scale, q.zero, bytes(g, w_type, k.weight), g.weight(scales, 0.001, 0.02), zero, g.weight({}, 0.02, 0.3),
                                 zero_points(g, x_type, {})};
  if (g.chance(0.6)) {
    Tensor bias(DataType::int64, {k.weight[0]});
    for (int64_t& b : bias.mutable_data<int64_t>()) b = g.between(-5000, 5000);
    inputs.push_back(g.constant(bias.cast(DataType::int32)));
  }
  const ValueId y = g.add("QLinearConv", inputs, k.attributes, true);
  g.add("DequantizeLinear", {y, inputs[6], inputs[7]}, {}, true);
}

void qlinear_matmul(GraphDraw& g) {
  const DataType x_type = byte_type(g), w_type = g.chance(0.6) ? DataType::int8 : x_type;
  const Quantized q = quantized(g, 2, 3, x_type);
  const int64_t columns = g.between(1, 9);
  const Dims scales = g.chance(0.3) ? Dims{columns} : Dims{};
  const ValueId scale = g.weight({}, 0.02, 0.3), zero = zero_points(g, x_type, {});
  const ValueId y = g.add("QLinearMatMul",
                          {q.x, q.scale, q.zero, bytes(g, w_type, {g.dim(q.x, g.rank(q.x) - 1), columns}), g.weight(scales, 0.001, 0.02),
                           zero_points(g, w_type, scales), scale, zero},
                          {}, true);
  g.add("DequantizeLinear", {y, scale, zero}, {}, true);
}

}  // namespace

std::vector<Recipe> quantized_recipes() {
  return {{"QuantizeLinear", quantize}, {"DynamicQuantizeLinear", dynamic_quantize}, {"ConvInteger", conv_integer},
          {"MatMulInteger", matmul_integer}, {"QLinearConv", qlinear_conv}, {"QLinearMatMul", qlinear_matmul}};
}

}  // namespace espalier::testing
