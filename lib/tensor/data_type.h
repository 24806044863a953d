#pragma once

#include <cstdint>
#include <string_view>

#include "lib/tensor/float16.h"

namespace espalier {

/// Element types, numbered as in ONNX TensorProto.DataType.
enum class DataType : int32_t {
  undefined = 0, float32 = 1, uint8 = 2, int8 = 3, uint16 = 4, int16 = 5, int32 = 6, int64 = 7, string = 8,
  boolean = 9, float16 = 10, float64 = 11, uint32 = 12, uint64 = 13, complex64 = 14, complex128 = 15,
  bfloat16 = 16, float8e4m3fn = 17, float8e4m3fnuz = 18, float8e5m2 = 19, float8e5m2fnuz = 20, uint4 = 21,
  int4 = 22, float4e2m1 = 23,
};

/// Bits of one element as ONNX's raw_data packs it; 0 for undefined and string.
int bit_width(DataType type);
/// ONNX's lower-case name: "float", "int64", "bfloat16"; "undefined" for what is not known.
std::string_view name(DataType type);
bool is_float(DataType type);    ///< float16, bfloat16, float, double
bool is_integer(DataType type);  ///< signed and unsigned, 8 bits and wider

/// DataType of a C++ type: `data_type_of<float>`.
template <class T>
inline constexpr DataType data_type_of = DataType::undefined;
template <> inline constexpr DataType data_type_of<float> = DataType::float32;
template <> inline constexpr DataType data_type_of<double> = DataType::float64;
template <> inline constexpr DataType data_type_of<float16> = DataType::float16;
template <> inline constexpr DataType data_type_of<bfloat16> = DataType::bfloat16;
template <> inline constexpr DataType data_type_of<bool> = DataType::boolean;
template <> inline constexpr DataType data_type_of<int8_t> = DataType::int8;
template <> inline constexpr DataType data_type_of<int16_t> = DataType::int16;
template <> inline constexpr DataType data_type_of<int32_t> = DataType::int32;
template <> inline constexpr DataType data_type_of<int64_t> = DataType::int64;
template <> inline constexpr DataType data_type_of<uint8_t> = DataType::uint8;
template <> inline constexpr DataType data_type_of<uint16_t> = DataType::uint16;
template <> inline constexpr DataType data_type_of<uint32_t> = DataType::uint32;
template <> inline constexpr DataType data_type_of<uint64_t> = DataType::uint64;

}  // namespace espalier
