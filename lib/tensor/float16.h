#pragma once

#include <bit>
#include <cstdint>

namespace espalier {

/// IEEE 754 binary16. A storage type: arithmetic is done in float. Conversion rounds to nearest, ties to even.
struct float16 {
  uint16_t bits = 0;
  float16() = default;
  explicit float16(float value);
  operator float() const;
};

/// The upper half of a float. Conversion rounds to nearest, ties to even, and keeps NaN a NaN.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float value);
  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

inline bfloat16::bfloat16(float value) {
  const auto u = std::bit_cast<uint32_t>(value);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  bits = static_cast<uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

}  // namespace espalier
