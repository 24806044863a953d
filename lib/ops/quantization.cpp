#include "lib/ops/quantization.h"

#include <cmath>

namespace espalier {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& message) { throw Error(ErrorKind::bad_data, node.where() + ": " + message); }

int64_t product(const Dims& dims, size_t begin, size_t end) {
  int64_t result = 1;
  for (size_t i = begin; i < end; ++i) result = checked_mul(result, dims[i]);
  return result;
}

size_t axis_of(const Node& node, size_t rank) {
  const auto axis = node.get<int64_t>("axis", 1);
  const auto r = static_cast<int64_t>(rank);
  if (axis < -r || axis >= r) fail(node, "axis is " + std::to_string(axis) + ", but the input has rank " + std::to_string(rank));
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

bool one_scale(const Dims& scale) { return scale.size() <= 1 && element_count(scale) == 1; }

}  // namespace

Granularity granularity(const Node& node, const Dims& x, const Dims& scale) {
  Granularity g;
  const auto block = node.get<int64_t>("block_size", 0);
  if (block < 0) fail(node, "block_size is " + std::to_string(block) + ", expected at least 0");
  if (block == 0 && one_scale(scale)) {
    g.inner = element_count(x);
    return g;
  }
  const size_t axis = axis_of(node, x.size());
  g.outer = product(x, 0, axis);
  g.length = x[axis];
  g.inner = product(x, axis + 1, x.size());
  Dims expected = {g.length};
  if (block > 0) {
    g.block = block;
    g.blocked = true;
    expected = x;
    expected[axis] = (g.length + block - 1) / block;
  }
  if (scale != expected) fail(node, "scale has shape " + to_string(scale) + ", expected " + to_string(expected));
  return g;
}

std::optional<int> quantized_axis(const Node& node, int64_t rank, int64_t scales) {
  if (scales == 1 && node.get<int64_t>("block_size", 0) == 0) return std::nullopt;
  return static_cast<int>(axis_of(node, static_cast<size_t>(rank)));
}

bool is_quantized_integer(DataType type) {
  switch (type) {
    case DataType::uint8: case DataType::int8: case DataType::uint16: case DataType::int16: case DataType::uint4: case DataType::int4:
      return true;
    default:
      return false;
  }
}

bool is_quantized(DataType type) { return is_quantized_integer(type) || is_narrow(type); }

QuantizedRange quantized_range(DataType type) {
  switch (type) {
    case DataType::uint4: return {0, 15};
    case DataType::int4: return {-8, 7};
    case DataType::uint8: return {0, 255};
    case DataType::int8: return {-128, 127};
    case DataType::uint16: return {0, 65535};
    default: return {-32768, 32767};
  }
}

DataType type_attribute(const InferContext& c, std::string_view attribute) {
  const auto number = c.node().get<int64_t>(attribute, 0);
  if (number < 0 || number > static_cast<int64_t>(DataType::float4e2m1)) {
    c.fail("attribute '" + std::string(attribute) + "' is " + std::to_string(number) + ", which is no element type known here");
  }
  return static_cast<DataType>(number);
}

DataType quantized_type(const Node& node, DataType zero_point) {
  if (zero_point != DataType::undefined) return zero_point;
  const auto named = static_cast<DataType>(node.get<int64_t>("output_dtype", 0));
  return named == DataType::undefined ? DataType::uint8 : named;
}

Tensor saturated(const Tensor& numbers, DataType type) {
  const auto [low, high] = quantized_range(type);
  Tensor result(DataType::float64, numbers.dims());
  const auto out = result.mutable_data<double>();
  const auto in = numbers.data<double>();
  for (int64_t i = 0; i < numbers.size(); ++i) out[i] = in[i] > low ? std::min(in[i], high) : low;  // NaN too
  return is_narrow(type) ? narrow(result, type, true) : result.cast(type);
}

}  // namespace espalier
