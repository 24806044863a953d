#include "lib/ops/narrow_types.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lib/tensor/dispatch.h"

namespace espalier {
namespace {

/// Layout of a float of at most 8 bits: sign, exponent, mantissa.
struct Format {
  int exponent_bits, mantissa_bits, bias;
  int largest;              ///< code of the largest finite number
  int infinity;             ///< code, or -1
  int nan;                  ///< code
  bool unsigned_zero_only;  ///< the code of -0 means NaN
  int sign() const { return 1 << (exponent_bits + mantissa_bits); }
};

Format format_of(DataType type) {
  switch (type) {
    case DataType::float8e4m3fn: return {4, 3, 7, 0x7e, -1, 0x7f, false};
    case DataType::float8e4m3fnuz: return {4, 3, 8, 0x7f, -1, 0x80, true};
    case DataType::float8e5m2: return {5, 2, 15, 0x7b, 0x7c, 0x7f, false};
    case DataType::float8e5m2fnuz: return {5, 2, 16, 0x7f, -1, 0x80, true};
    default: return {2, 1, 1, 0x7, -1, 0x8, false};  // float4e2m1 has no NaN: -0 stands for it
  }
}

/// Number of a code without its sign, as if none were special.
double magnitude(const Format& f, int code) {
  const int exponent = code >> f.mantissa_bits, mantissa = code & ((1 << f.mantissa_bits) - 1);
  if (exponent == 0) return std::ldexp(mantissa, 1 - f.bias - f.mantissa_bits);
  return std::ldexp(mantissa + (1 << f.mantissa_bits), exponent - f.bias - f.mantissa_bits);
}

float decode(const Format& f, int code) {
  const bool negative = (code & f.sign()) != 0;
  const int rest = code & (f.sign() - 1);
  if (negative && rest == 0 && f.unsigned_zero_only) return std::numeric_limits<float>::quiet_NaN();
  double value = magnitude(f, rest);
  if (rest > f.largest) value = rest == f.infinity ? INFINITY : NAN;
  return static_cast<float>(negative ? -value : value);
}

int encode(const Format& f, double value, bool saturate) {
  if (std::isnan(value)) return f.nan | (std::signbit(value) ? f.sign() : 0);
  const double size = std::abs(value);
  int code = 0;  // the largest code not above size, then to the nearer of it and the next
  for (int bit = f.sign() >> 1; bit > 0; bit >>= 1) {
    if ((code | bit) <= f.largest + 1 && magnitude(f, code | bit) <= size) code |= bit;
  }
  if (code <= f.largest) {
    const double below = size - magnitude(f, code), above = magnitude(f, code + 1) - size;
    if (above < below || (above == below && (code & 1) != 0)) ++code;
  }
  const int sign = std::signbit(value) ? f.sign() : 0;
  if (code > f.largest) {
    if (saturate || f.exponent_bits == 2) return sign | f.largest;
    if (f.infinity < 0) return f.unsigned_zero_only ? f.nan : sign | f.nan;
    return sign | f.infinity;
  }
  return code == 0 && f.unsigned_zero_only ? 0 : sign | code;
}

bool is_integer4(DataType type) { return type == DataType::int4 || type == DataType::uint4; }

float decode(DataType type, int code) {
  if (type == DataType::uint4) return static_cast<float>(code);
  if (type == DataType::int4) return static_cast<float>(code >= 8 ? code - 16 : code);
  return decode(format_of(type), code);
}

int encode(DataType type, double value, bool saturate) {
  if (!is_integer4(type)) return encode(format_of(type), value, saturate);
  if (saturate) value = std::clamp(value, type == DataType::int4 ? -8.0 : 0.0, type == DataType::int4 ? 7.0 : 15.0);
  return static_cast<int>(convert<int64_t>(value) & 15);
}

}  // namespace

bool is_narrow(DataType type) { return type >= DataType::float8e4m3fn && type <= DataType::float4e2m1; }

Tensor widen(const Tensor& x) {
  Tensor y(DataType::float32, x.dims());
  const auto in = x.bytes();
  const auto out = y.mutable_data<float>();
  const bool packed = bit_width(x.type()) == 4;
  for (int64_t i = 0; i < x.size(); ++i) {
    const int byte = static_cast<int>(in[packed ? i / 2 : i]);
    out[i] = decode(x.type(), packed ? (byte >> (i % 2 * 4)) & 15 : byte);
  }
  return y;
}

Tensor narrow(const Tensor& x, DataType type, bool saturate) {
  const Tensor wide = x.cast(DataType::float64);
  Tensor y(type, x.dims());
  const auto in = wide.data<double>();
  const auto out = y.mutable_bytes();
  const bool packed = bit_width(type) == 4;
  const bool saturates = is_integer4(type) ? is_float(x.type()) : saturate;  // integers drop their high bits
  for (int64_t i = 0; i < x.size(); ++i) {
    const int code = encode(type, in[i], saturates);
    if (packed) out[i / 2] |= static_cast<std::byte>(code << (i % 2 * 4));
    else out[i] = static_cast<std::byte>(code);
  }
  return y;
}

}  // namespace espalier
