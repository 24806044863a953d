#include "lib/kernels/matrix.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace espalier {
namespace {

std::vector<float> numbers(size_t count, double step) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(std::sin(step * static_cast<double>(i + 1)));
  return x;
}

struct Case {
  int64_t stacks, m, k, n;
  Dims a, b, c;  // strides
};

/// Stacked products, or one of two matrices, also with a bias along the columns; what lies between the numbers of c stays.
void check(const Case& t, bool biased) {
  MatMulProblem p;
  p.a = {t.stacks, t.m, t.k}, p.b = {t.stacks, t.k, t.n}, p.c = {t.stacks, t.m, t.n};
  p.a_strides = t.a, p.b_strides = t.b, p.c_strides = t.c;
  p.bias = biased;
  if (biased) p.bias_dims = {1, 1, t.n};
  if (t.stacks == 1) {
    for (Dims* v : {&p.a, &p.b, &p.c, &p.a_strides, &p.b_strides, &p.c_strides, &p.bias_dims})
      v->erase(v->begin(), v->end() - std::min<std::ptrdiff_t>(2, std::ssize(*v)));
  }
  std::vector<float> x = numbers(8000, 0.7), y = numbers(8000, 1.3), bias = numbers(static_cast<size_t>(t.n), 0.3);
  std::vector<float> z = numbers(8000, 0.4), expected = z;
  Primitive step = matmul(p);
  std::vector<std::byte> scratch(step.scratch_bytes);
  std::vector<void*> args = {x.data(), y.data()};
  if (biased) args.push_back(bias.data());
  args.push_back(z.data());
  if (!scratch.empty()) args.push_back(scratch.data());
  step.kernel->bind(args);
  step.kernel->run();
  for (int64_t s = 0; s < t.stacks; ++s) {
    for (int64_t i = 0; i < t.m; ++i) {
      for (int64_t j = 0; j < t.n; ++j) {
        double sum = biased ? static_cast<double>(bias[static_cast<size_t>(j)]) : 0.0;
        for (int64_t l = 0; l < t.k; ++l) {
          sum += static_cast<double>(x[static_cast<size_t>(s * t.a[0] + i * t.a[1] + l * t.a[2])]) *
                 static_cast<double>(y[static_cast<size_t>(s * t.b[0] + l * t.b[1] + j * t.b[2])]);
        }
        expected[static_cast<size_t>(s * t.c[0] + i * t.c[1] + j * t.c[2])] = static_cast<float>(sum);
      }
    }
  }
  double worst = 0;
  for (size_t i = 0; i < z.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(z[i] - expected[i])));
  EXPECT_LT(worst, 1e-5) << fmt::format("{} of {} x {} x {} by {}; strides {} {} {}", t.stacks, t.m, t.k, t.n, step.implementation,
                                        fmt::join(t.a, ","), fmt::join(t.b, ","), fmt::join(t.c, ","));
}

// Single rows and columns that lie apart were wrong with oneDNN 3.7.
TEST(MatMulStep, ReadsAndWritesRowsAndColumnsThatLieApart) {
  const std::vector<int64_t> stacks = {1, 3}, rows = {1, 7}, inner = {1, 12}, columns = {1, 5, 20};
  const auto forms = [](int64_t m, int64_t n) {
    return std::vector<Dims>{{m * n, n, 1}, {m * n, 1, m}, {3 * m * n, 1, 3 * m}, {3 * m * n, 3 * n, 1}};
  };
  for (const int64_t s : stacks) {
    for (const int64_t m : rows) {
      for (const int64_t k : inner) {
        for (const int64_t n : columns) {
          std::vector<Case> cases = {{s, m, k, n, {1, 3 * k, 3}, {1, 3 * n, 3}, {1, 3 * n, 3}}};
          for (const Dims& a : forms(m, k)) cases.push_back({s, m, k, n, a, {k * n, n, 1}, {m * n, n, 1}});
          for (const Dims& b : forms(k, n)) cases.push_back({s, m, k, n, {m * k, k, 1}, b, {m * n, n, 1}});
          for (const Dims& c : forms(m, n)) cases.push_back({s, m, k, n, {m * k, k, 1}, {k * n, n, 1}, c});
          for (const Case& one : cases) {
            check(one, false);
            check(one, true);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace espalier
