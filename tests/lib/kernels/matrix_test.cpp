#include "lib/kernels/matrix.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

namespace espalier {
namespace {

std::vector<float> numbers(size_t count, double step) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
  return x;
}

/// Operands with strides of their own, in three stacked products with a bias along the columns.
void check(int64_t m, int64_t k, int64_t n, const Dims& a, const Dims& b) {
  MatMulProblem p;
  p.a = {3, m, k}, p.b = {3, k, n}, p.c = {3, m, n};
  p.a_strides = a, p.b_strides = b;
  p.bias = true;
  p.bias_dims = {1, 1, n};
  std::vector<float> x = numbers(8000, 0.7), y = numbers(8000, 1.3), bias = numbers(static_cast<size_t>(n), 0.3);
  std::vector<float> z(static_cast<size_t>(3 * m * n));
  Primitive step = matmul(p);
  std::vector<std::byte> scratch(step.scratch_bytes);
  void* args[] = {x.data(), y.data(), bias.data(), z.data(), scratch.data()};
  step.kernel->bind({args, scratch.empty() ? size_t{4} : size_t{5}});
  step.kernel->run();
  for (int64_t s = 0; s < 3; ++s) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = static_cast<double>(bias[static_cast<size_t>(j)]);
        for (int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(x[static_cast<size_t>(s * a[0] + i * a[1] + l * a[2])]) *
                 static_cast<double>(y[static_cast<size_t>(s * b[0] + l * b[1] + j * b[2])]);
        }
        EXPECT_NEAR(z[static_cast<size_t>((s * m + i) * n + j)], sum, 1e-5)
            << fmt::format("[{}, {}, {}] of {} x {} x {} by {}", s, i, j, m, k, n, step.implementation);
      }
    }
  }
}

// A row whose numbers lie apart was wrong with oneDNN 3.7.
TEST(MatMulStep, ReadsRowsAndColumnsThatLieApart) {
  for (const int64_t m : {1, 2, 7}) {
    for (const int64_t n : {1, 5, 20}) {
      for (const int64_t k : {1, 12, 33}) {
        check(m, k, n, {m * k, k, 1}, {k * n, n, 1});
        check(m, k, n, {m * k, 1, m}, {k * n, 1, k});
        check(m, k, n, {3 * m * k, 1, 3 * m}, {k * n, n, 1});
        check(m, k, n, {1, 3 * k, 3}, {1, 3 * n, 3});
        check(m, k, n, {m * k, k, 1}, {3 * k * n, 1, 3 * k});
      }
    }
  }
}

}  // namespace
}  // namespace espalier
