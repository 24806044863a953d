#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "lib/base/error.h"
#include "lib/tensor/data_type.h"

namespace espalier {

/// The types that dispatch_numeric covers, as a concept: integers of 8 to 64 bits, bool, and the four floats.
template <class T>
inline constexpr bool is_float_type =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

/// Calls body.operator()<T>() with the C++ type of `type`: `dispatch_numeric(t, [&]<class T>() { ... })`.
/// Throws Error(bad_data) for strings, complex and sub-byte types.
template <class Body>
decltype(auto) dispatch_numeric(DataType type, Body&& body) {
  switch (type) {
    case DataType::float32: return body.template operator()<float>();
    case DataType::float64: return body.template operator()<double>();
    case DataType::float16: return body.template operator()<float16>();
    case DataType::bfloat16: return body.template operator()<bfloat16>();
    case DataType::boolean: return body.template operator()<bool>();
    case DataType::int8: return body.template operator()<int8_t>();
    case DataType::int16: return body.template operator()<int16_t>();
    case DataType::int32: return body.template operator()<int32_t>();
    case DataType::int64: return body.template operator()<int64_t>();
    case DataType::uint8: return body.template operator()<uint8_t>();
    case DataType::uint16: return body.template operator()<uint16_t>();
    case DataType::uint32: return body.template operator()<uint32_t>();
    case DataType::uint64: return body.template operator()<uint64_t>();
    default:
      throw Error(ErrorKind::bad_data, "element type " + std::string(name(type)) + " is not supported here");
  }
}

/// As dispatch_numeric, for float16, bfloat16, float and double only.
template <class Body>
decltype(auto) dispatch_float(DataType type, Body&& body) {
  switch (type) {
    case DataType::float32: return body.template operator()<float>();
    case DataType::float64: return body.template operator()<double>();
    case DataType::float16: return body.template operator()<float16>();
    case DataType::bfloat16: return body.template operator()<bfloat16>();
    default:
      throw Error(ErrorKind::bad_data, "element type " + std::string(name(type)) + " is not supported here, expected a float");
  }
}

/// The type in which an element type is calculated: float for the 16-bit floats, itself otherwise.
template <class T>
using Calc = std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

/// Conversion as ONNX Cast does it: float to integer truncates (out of range saturates, NaN gives 0), number to
/// bool is "not zero".
template <class To, class From>
To convert(From value) {
  const auto v = static_cast<Calc<From>>(value);
  if constexpr (std::is_same_v<To, bool>) {
    return v != Calc<From>(0);
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Calc<From>>) {
    if (std::isnan(v)) return To(0);
    if (v >= static_cast<Calc<From>>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    if (v <= static_cast<Calc<From>>(std::numeric_limits<To>::lowest())) return std::numeric_limits<To>::lowest();
    return static_cast<To>(v);
  } else if constexpr (std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>) {
    return To(static_cast<float>(v));
  } else {
    return static_cast<To>(v);
  }
}

}  // namespace espalier
