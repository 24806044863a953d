// Cast, CastLike and Dropout.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lib/ops/narrow_types.h"
#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Tensor cast(const Tensor& x, DataType to, int version = 19) {
  return run_op({"Cast", version, {number("to", static_cast<int64_t>(to))}}, {x})[0];
}

TEST(Cast, BetweenAllNumbersIsExactWhereItCanBe) {
  const std::vector<DataType> types = {DataType::float32, DataType::float64, DataType::float16, DataType::bfloat16, DataType::int8, DataType::int16, DataType::int32,
                                       DataType::int64, DataType::uint8, DataType::uint16, DataType::uint32, DataType::uint64};
  const Tensor x = floats({3}, {0, 1, 96});
  for (const DataType from : types) {
    for (const DataType to : types) EXPECT_EQ(cast(cast(x, from), to).to_doubles(), x.to_doubles()) << name(from) << " " << name(to);
    EXPECT_EQ(cast(cast(x, from), DataType::boolean), Tensor::of<bool>({3}, {false, true, true}));
  }
}

TEST(Cast, FloatsTruncateToIntegers) { EXPECT_EQ(cast(floats({3}, {-1.9f, 1.9f, 0.5f}), DataType::int32), Tensor::of<int32_t>({3}, {-1, 1, 0})); }

TEST(Cast, ReadsAndWritesStrings) {
  const Tensor x = floats({6}, {0.1f, 1, 1e-5f, std::numeric_limits<float>::infinity(), -2.5f, 1e20f});
  const Tensor texts = Tensor::of_strings({6}, {"0.1", "1.0", "1e-05", "inf", "-2.5", "1e+20"});
  EXPECT_EQ(cast(x, DataType::string), texts);
  EXPECT_EQ(cast(texts, DataType::float32), x);
  EXPECT_EQ(cast(floats({1}, {0.1f}).cast(DataType::float16), DataType::string), Tensor::of_strings({1}, {"0.1"}));
  EXPECT_EQ(cast(int64s({-7}), DataType::string), Tensor::of_strings({1}, {"-7"}));
  EXPECT_EQ(cast(Tensor::of_strings({2}, {"42", " +7"}), DataType::int8), Tensor::of<int8_t>({2}, {42, 7}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { cast(Tensor::of_strings({1}, {"x1"}), DataType::float32); }), HasSubstr("cannot read 'x1' as float"));
}

TEST(Cast, TargetByNameBeforeVersionSix) {
  EXPECT_EQ(run_op({"Cast", 1, {text("to", "INT32")}}, {floats({1}, {3})})[0], Tensor::of<int32_t>({1}, {3}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { run_op({"Cast", 1, {text("to", "INT3")}}, {floats({1}, {3})}); }), HasSubstr("no element type"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { run_op({"Cast", 13, {number("to", 77)}}, {floats({1}, {3})}); }), HasSubstr("no element type"));
}

TEST(CastLike, TakesTheOthersType) { EXPECT_EQ(run_op({"CastLike"}, {floats({1}, {3}), Tensor::scalar<int8_t>(0)})[0], Tensor::of<int8_t>({1}, {3})); }

TEST(NarrowTypes, EveryFiniteCodeSurvivesARoundTrip) {
  for (const DataType type : {DataType::float8e4m3fn, DataType::float8e4m3fnuz, DataType::float8e5m2, DataType::float8e5m2fnuz, DataType::float4e2m1, DataType::int4, DataType::uint4}) {
    const int64_t codes = int64_t{1} << bit_width(type);
    Tensor all(type, {codes});
    const auto bytes = all.mutable_bytes();
    for (int64_t i = 0; i < codes; ++i) {
      if (codes == 16) bytes[i / 2] |= static_cast<std::byte>(i << (i % 2 * 4));
      else bytes[i] = static_cast<std::byte>(i);
    }
    const Tensor wide = widen(all), back = widen(narrow(wide, type, false));
    for (int64_t i = 0; i < codes; ++i) {
      const float a = wide.data<float>()[i], b = back.data<float>()[i];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << name(type) << " code " << i << ": " << a << " " << b;
    }
  }
}

TEST(NarrowTypes, SaturateOrOverflow) {
  const Tensor big = floats({2}, {1e6f, -1e6f});
  EXPECT_EQ(widen(narrow(big, DataType::float8e4m3fn, true)).to_doubles(), (std::vector<double>{448, -448}));
  EXPECT_TRUE(std::isnan(widen(narrow(big, DataType::float8e4m3fn, false)).data<float>()[0]));
  EXPECT_EQ(widen(narrow(big, DataType::float8e5m2, false)).data<float>()[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(widen(narrow(big, DataType::float4e2m1, false)).to_doubles(), (std::vector<double>{6, -6}));
  EXPECT_EQ(widen(narrow(floats({3}, {9, -9, 2.5f}), DataType::int4, true)).to_doubles(), (std::vector<double>{7, -8, 2}));
}

TEST(Dropout, IsTheIdentityInInference) {
  const Tensor x = floats({2}, {1, 2});
  for (const int version : {6, 7, 10}) EXPECT_EQ(run_op({"Dropout", version, {real("ratio", 0.9f)}}, {x})[0], x);
  const auto out = run_op({"Dropout", 13, {}, 2}, {x, Tensor::scalar(0.9f)});
  EXPECT_EQ(out[0], x);
  EXPECT_EQ(out[1], Tensor::of<bool>({2}, {true, true}));
  EXPECT_EQ(run_op({"Dropout", 7, {}, 2}, {x})[1], floats({2}, {1, 1}));
}

TEST(Dropout, InTrainingDropsTheRatioAndScalesTheRest) {
  const Tensor x = floats({10000}, std::vector<float>(10000, 3.0f));
  const OpUse use = {"Dropout", 13, {number("seed", 7)}, 2};
  const auto out = run_op(use, {x, Tensor::scalar(0.25f), Tensor::scalar(true)});
  int kept = 0;
  for (int i = 0; i < 10000; ++i) {
    const bool keeps = out[1].data<bool>()[i];
    kept += keeps;
    EXPECT_FLOAT_EQ(out[0].data<float>()[i], keeps ? 4.0f : 0.0f);
  }
  EXPECT_NEAR(kept, 7500, 200);
  EXPECT_EQ(run_op(use, {x, Tensor::scalar(0.25f), Tensor::scalar(true)})[1], out[1]);
  EXPECT_EQ(run_op(use, {x, Tensor::scalar(0.0f), Tensor::scalar(true)})[0], x);
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op(use, {x, Tensor::scalar(1.5f), Tensor::scalar(true)}); }), HasSubstr("ratio is 1.5"));
}

}  // namespace
}  // namespace espalier
