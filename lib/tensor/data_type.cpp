#include "lib/tensor/data_type.h"

#include <array>

namespace espalier {
namespace {

struct Entry {
  std::string_view name;
  int bits;
};

constexpr std::array<Entry, 24> kTypes = {{
    {"undefined", 0}, {"float", 32}, {"uint8", 8}, {"int8", 8}, {"uint16", 16}, {"int16", 16}, {"int32", 32},
    {"int64", 64}, {"string", 0}, {"bool", 8}, {"float16", 16}, {"double", 64}, {"uint32", 32}, {"uint64", 64},
    {"complex64", 64}, {"complex128", 128}, {"bfloat16", 16}, {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8},
    {"float8e5m2", 8}, {"float8e5m2fnuz", 8}, {"uint4", 4}, {"int4", 4}, {"float4e2m1", 4},
}};

const Entry& entry(DataType type) {
  const auto index = static_cast<size_t>(type);
  return kTypes[index < kTypes.size() ? index : 0];
}

}  // namespace

int bit_width(DataType type) { return entry(type).bits; }
std::string_view name(DataType type) { return entry(type).name; }

bool is_float(DataType type) {
  return type == DataType::float32 || type == DataType::float64 || type == DataType::float16 ||
         type == DataType::bfloat16;
}

bool is_integer(DataType type) {
  switch (type) {
    case DataType::uint8: case DataType::int8: case DataType::uint16: case DataType::int16:
    case DataType::int32: case DataType::int64: case DataType::uint32: case DataType::uint64:
      return true;
    default:
      return false;
  }
}

}  // namespace espalier
