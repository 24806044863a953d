#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/integer.h"

namespace espalier {

/// Sums of products: floats are summed in double, integers in their own type modulo 2^bits.
template <class T>
using Sum = std::conditional_t<is_float_type<T>, double, T>;

/// c[m, n] = finish(m, n, sum over k of a[m, k] * b[k, n]); all row-major, b read row by row for four rows of a at once.
template <class T, class Finish>
void multiply(const T* a, const T* b, T* c, int64_t rows, int64_t columns, int64_t inner, Finish finish) {
  constexpr int64_t kRows = 4;
  parallel_for(rows, kRows, [&](int64_t begin, int64_t end) {
    std::vector<Sum<T>> sums(static_cast<size_t>(kRows * columns));
    for (int64_t first = begin; first < end; first += kRows) {
      const int64_t count = std::min(kRows, end - first);
      std::fill(sums.begin(), sums.end(), Sum<T>(0));
      for (int64_t k = 0; k < inner; ++k) {
        for (int64_t r = 0; r < count; ++r) {
          const auto factor = static_cast<Sum<T>>(a[(first + r) * inner + k]);
          Sum<T>* to = sums.data() + r * columns;
          const T* from = b + k * columns;
          for (int64_t j = 0; j < columns; ++j) to[j] = wrap_add(to[j], wrap_mul(factor, static_cast<Sum<T>>(from[j])));
        }
      }
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t j = 0; j < columns; ++j) {
          c[(first + r) * columns + j] = store<T>(finish(first + r, j, sums[r * columns + j]));
        }
      }
    }
  });
}

}  // namespace espalier
