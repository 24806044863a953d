#include "lib/tensor/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace espalier {
namespace {

TEST(Float16, EveryPatternSurvivesFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float f = h;
    if (std::isnan(f)) EXPECT_TRUE(std::isnan(static_cast<float>(float16(f))));
    else ASSERT_EQ(float16(f).bits, bits);
  }
}

TEST(Bfloat16, EveryPatternSurvivesFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    bfloat16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float f = h;
    if (std::isnan(f)) EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(f))));
    else ASSERT_EQ(bfloat16(f).bits, bits);
  }
}

// The nearest of all patterns, ties to the even one, found by walking from the truncated value.
template <class Half>
void expect_nearest(float f) {
  const Half rounded(f);
  const auto at = [](int bits) {
    Half h;
    h.bits = static_cast<uint16_t>(bits);
    return static_cast<double>(static_cast<float>(h));
  };
  const double error = std::abs(at(rounded.bits) - static_cast<double>(f));
  for (const int step : {-1, 1}) {
    const int other = rounded.bits + step;
    if (other < 0 || other > 0xffff || !std::isfinite(at(other))) continue;
    const double other_error = std::abs(at(other) - static_cast<double>(f));
    ASSERT_LE(error, other_error) << f;
    ASSERT_TRUE(error != other_error || rounded.bits % 2 == 0) << f;
  }
}

TEST(Float16, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t i = 0; i < 200000; ++i) {
    const float f = std::bit_cast<float>(0x33000000u + i * 1009u);  // 3e-8 to 6e4 and beyond
    if (std::abs(f) < 65504) expect_nearest<float16>(f);
  }
  for (uint32_t bits = 1; bits < 0x7bff; ++bits) {  // exactly between two neighbours
    float16 low, high;
    low.bits = static_cast<uint16_t>(bits);
    high.bits = static_cast<uint16_t>(bits + 1);
    const float middle = (static_cast<float>(low) + static_cast<float>(high)) / 2;
    ASSERT_EQ(float16(middle).bits, bits % 2 == 0 ? bits : bits + 1);
  }
}

TEST(Bfloat16, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t i = 0; i < 200000; ++i) expect_nearest<bfloat16>(std::bit_cast<float>(0x10000000u + i * 5003u));
}

TEST(Float16, OverflowsToInfinity) {
  EXPECT_EQ(static_cast<float>(float16(65504.0f)), 65504.0f);
  EXPECT_EQ(static_cast<float>(float16(65519.0f)), 65504.0f);
  EXPECT_TRUE(std::isinf(static_cast<float>(float16(65520.0f))));
  EXPECT_TRUE(std::isinf(static_cast<float>(float16(-1e30f))));
  EXPECT_LT(static_cast<float>(float16(-1e30f)), 0);
  EXPECT_EQ(float16(-0.0f).bits, 0x8000);
  EXPECT_EQ(float16(1e-9f).bits, 0);
}

}  // namespace
}  // namespace espalier
