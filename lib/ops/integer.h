#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "lib/ops/infer.h"

namespace espalier {

// Integer arithmetic as ONNX runtimes do it: modulo 2^bits, never undefined. Floats pass through.

template <class T>
T wrap_add(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else return a + b;
}

template <class T>
T wrap_sub(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  else return a - b;
}

template <class T>
T wrap_mul(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else return a * b;
}

/// Shape arithmetic: combine(a, b) on the elements of two small integer inputs, the shorter of length 1 repeated;
/// nothing where they are not known.
template <class F>
std::optional<std::vector<Dim>> combine_numbers(const InferContext& c, size_t i, size_t j, F combine) {
  const auto a = c.numbers(i), b = c.numbers(j);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return std::nullopt;
  if (a->empty() || b->empty()) return std::vector<Dim>();
  std::vector<Dim> result;
  for (size_t k = 0; k < std::max(a->size(), b->size()); ++k) {
    result.push_back(combine((*a)[a->size() == 1 ? 0 : k], (*b)[b->size() == 1 ? 0 : k]));
  }
  return result;
}

}  // namespace espalier
