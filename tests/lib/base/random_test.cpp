#include "lib/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace espalier {
namespace {

TEST(Random, GivesThePublishedWordsOfPhilox) {
  // Known answer of Random123's own tests: philox4x32, 10 rounds, counter and key zero.
  const Random zero(0, static_cast<RandomUse>(0), 0);
  EXPECT_EQ(zero.words(0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Random, IsAFunctionOfSeedUseStreamAndIndex) {
  const Random a(1, RandomUse::test, 2);
  EXPECT_EQ(a.words(5), Random(1, RandomUse::test, 2).words(5));
  std::set<std::array<uint32_t, 4>> seen = {a.words(5), a.words(6), a.words(uint64_t{1} << 32),
                                            Random(2, RandomUse::test, 2).words(5),
                                            Random(uint64_t{1} << 32 | 1, RandomUse::test, 2).words(5),
                                            Random(1, RandomUse::dropout, 2).words(5), Random(1, RandomUse::test, 3).words(5)};
  EXPECT_EQ(seen.size(), 7u);
}

TEST(Random, UniformFillsItsRangeEvenly) {
  const Random random(3, RandomUse::test);
  constexpr int n = 20000, bins = 10;
  std::array<int, bins> counts{};
  for (int i = 0; i < n; ++i) {
    const float u = random.uniform(static_cast<uint64_t>(i));
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    ++counts[static_cast<size_t>(u * bins)];
  }
  double chi2 = 0;
  for (const int c : counts) chi2 += (c - n / bins) * (c - n / bins) / static_cast<double>(n / bins);
  EXPECT_LT(chi2, 27.9);  // 9 degrees of freedom, p = 0.001
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  const Random random(4, RandomUse::test);
  constexpr int n = 40000;
  double sum = 0, squares = 0, fourths = 0;
  for (int i = 0; i < n; ++i) {
    const double v = random.normal(static_cast<uint64_t>(i));
    ASSERT_TRUE(std::isfinite(v));
    sum += v, squares += v * v, fourths += v * v * v * v;
  }
  EXPECT_NEAR(sum / n, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 4 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourths / n, 3, 4 * std::sqrt(96.0 / n));
}

TEST(Random, BelowStaysBelow) {
  const Random random(5, RandomUse::test);
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 200; ++i) {
    const uint64_t v = random.below(i, 7);
    ASSERT_LT(v, 7u);
    seen.insert(v);
    EXPECT_EQ(random.below(i, 1), 0u);
  }
  EXPECT_EQ(seen.size(), 7u);
}

}  // namespace
}  // namespace espalier
