#include "lib/kernels/step_product.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace espalier {
namespace {

std::vector<float> numbers(int64_t count, double step) {
  std::vector<float> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
  return x;
}

float expected(const StepProductProblem& p, const float* a, const float* b, double sum, int64_t i, int64_t j) {
  for (int64_t k = 0; k < p.k; ++k) {
    const double x = p.transpose_a ? a[k * p.lda + i] : a[i * p.lda + k];
    const double y = p.transpose_b ? b[j * p.ldb + k] : b[k * p.ldb + j];
    sum += x * y;
  }
  return static_cast<float>(sum);
}

/// Each form with rows that lie apart: `apart` floats more than they hold.
void check(StepProductProblem p, int64_t apart) {
  p.lda = (p.transpose_a ? p.m : p.k) + apart;
  p.ldb = (p.transpose_b ? p.k : p.n) + apart;
  p.ldc = p.n + apart;
  const auto a = numbers((p.transpose_a ? p.k : p.m) * p.lda, 0.7), b = numbers((p.transpose_b ? p.n : p.k) * p.ldb, 1.3);
  const auto before = numbers(p.m * p.ldc, 0.4);
  std::vector<float> c = before;
  StepProduct(p).run(a.data(), b.data(), c.data());
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.ldc; ++j) {
      const auto at = static_cast<size_t>(i * p.ldc + j);
      const double start = p.accumulate ? static_cast<double>(before[at]) : 0.0;
      EXPECT_NEAR(c[at], j < p.n ? expected(p, a.data(), b.data(), start, i, j) : before[at], 1e-5)
          << fmt::format("[{}, {}] of {} x {} x {}, apart {}, transposed {} {}, accumulate {}", i, j, p.m, p.k, p.n, apart,
                         p.transpose_a, p.transpose_b, p.accumulate);
    }
  }
}

// One unit wide was wrong with oneDNN 3.7: a single column of gates, read with a stride.
TEST(StepProduct, EqualsTheSumsInEveryFormFromOneUnitOn) {
  for (const int64_t m : {1, 2, 5, 16}) {
    for (const int64_t n : {1, 3, 70}) {
      for (const int64_t k : {1, 12, 33}) {
        for (const int64_t apart : {0, 2, 16}) {
          for (const bool accumulate : {false, true}) {
            check({.m = m, .n = n, .k = k, .lda = 0, .ldb = 0, .ldc = 0, .accumulate = accumulate}, apart);
            check({.m = m, .n = n, .k = k, .lda = 0, .ldb = 0, .ldc = 0, .transpose_a = true, .accumulate = accumulate}, apart);
            check({.m = m, .n = n, .k = k, .lda = 0, .ldb = 0, .ldc = 0, .transpose_b = true, .accumulate = accumulate}, apart);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace espalier
