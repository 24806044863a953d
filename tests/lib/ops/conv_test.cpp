#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/random.h"
#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Tensor random_tensor(Dims dims, uint32_t stream) {
  const Random random(1, RandomUse::test, stream);
  Tensor t(DataType::float32, std::move(dims));
  auto values = t.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return t;
}

struct Geometry {
  int64_t stride = 1, pad = 0, dilation = 1, group = 1;
};

std::vector<Attribute> attributes(const Geometry& g) {
  return {ints("strides", {g.stride, g.stride}), ints("pads", {g.pad, g.pad, g.pad, g.pad}),
          ints("dilations", {g.dilation, g.dilation}), number("group", g.group)};
}

/// The definition, position by position.
Tensor naive(const Tensor& x, const Tensor& w, const Geometry& g) {
  const auto &xd = x.dims(), &wd = w.dims();
  const int64_t oh = (xd[2] + 2 * g.pad - g.dilation * (wd[2] - 1) - 1) / g.stride + 1;
  const int64_t ow = (xd[3] + 2 * g.pad - g.dilation * (wd[3] - 1) - 1) / g.stride + 1;
  Tensor y(DataType::float32, {xd[0], wd[0], oh, ow});
  auto out = y.mutable_data<float>();
  for (int64_t o = 0; o < y.size(); ++o) {
    const int64_t j = o % ow, i = o / ow % oh, m = o / ow / oh % wd[0], n = o / ow / oh / wd[0];
    double sum = 0;
    for (int64_t k = 0; k < wd[1]; ++k) {
      const int64_t channel = m / (wd[0] / g.group) * wd[1] + k;
      for (int64_t p = 0; p < wd[2]; ++p) {
        for (int64_t q = 0; q < wd[3]; ++q) {
          const int64_t r = i * g.stride - g.pad + p * g.dilation, s = j * g.stride - g.pad + q * g.dilation;
          if (r < 0 || r >= xd[2] || s < 0 || s >= xd[3]) continue;
          sum += static_cast<double>(x.data<float>()[((n * xd[1] + channel) * xd[2] + r) * xd[3] + s]) *
                 static_cast<double>(w.data<float>()[((m * wd[1] + k) * wd[2] + p) * wd[3] + q]);
        }
      }
    }
    out[o] = static_cast<float>(sum);
  }
  return y;
}

TEST(Conv, EqualsItsDefinitionForStridesPadsDilationsAndGroups) {
  for (const Geometry g : {Geometry{}, {2, 1, 1, 1}, {1, 2, 2, 1}, {3, 1, 1, 2}, {1, 1, 1, 6}, {2, 3, 2, 3}, {1, 5, 1, 1}}) {
    const Tensor x = random_tensor({2, 6, 9, 8}, 1), w = random_tensor({12, 6 / g.group, 3, 2}, 2);
    expect_near(run_op({"Conv", 17, attributes(g)}, {x, w})[0], naive(x, w, g), 1e-5);
  }
}

TEST(Conv, OfOneByOneAndOfBias) {
  const Tensor x = floats({1, 2, 1, 2}, {1, 2, 3, 4}), w = floats({1, 2, 1, 1}, {10, 1}), b = floats({1}, {0.5f});
  expect_near(run_op({"Conv"}, {x, w, b})[0], floats({1, 1, 1, 2}, {13.5f, 24.5f}));
}

TEST(Conv, InOneAndThreeDimensions) {
  expect_near(run_op({"Conv", 17, {ints("pads", {1, 1})}}, {floats({1, 1, 3}, {1, 2, 3}), floats({1, 1, 3}, {1, 10, 100})})[0],
              floats({1, 1, 3}, {210, 321, 32}));
  const Tensor cube = floats({1, 1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  expect_near(run_op({"Conv"}, {cube, floats({1, 1, 2, 2, 2}, {1, 0, 0, 0, 0, 0, 0, 10})})[0], floats({1, 1, 1, 1, 1}, {81}));
}

TEST(Conv, AutoPadPutsTheOddElementAtTheEndOrTheStart) {
  const Tensor x = floats({1, 1, 3}, {1, 2, 3}), w = floats({1, 1, 2}, {1, 10});
  expect_near(run_op({"Conv", 17, {text("auto_pad", "SAME_UPPER")}}, {x, w})[0], floats({1, 1, 3}, {21, 32, 3}));
  expect_near(run_op({"Conv", 17, {text("auto_pad", "SAME_LOWER")}}, {x, w})[0], floats({1, 1, 3}, {10, 21, 32}));
  expect_near(run_op({"Conv", 17, {text("auto_pad", "VALID")}}, {x, w})[0], floats({1, 1, 2}, {21, 32}));
}

TEST(Conv, RunsInEveryFloatType) {
  const Tensor x = floats({1, 1, 2}, {1, 2}), w = floats({1, 1, 2}, {3, 4});
  for (const DataType type : {DataType::float64, DataType::float16, DataType::bfloat16}) {
    expect_near(run_op({"Conv"}, {x.cast(type), w.cast(type)})[0], floats({1, 1, 1}, {11}).cast(type));
  }
}

TEST(Conv, SymbolicSizesFlow) {
  const OpUse same = {"Conv", 17, {ints("pads", {1, 1, 1, 1})}};
  EXPECT_EQ(inferred(same, {typed({"n", 3, "h", 32}), typed({8, 3, 3, 3})}), "float[n,8,h,32]");
  const OpUse strided = {"Conv", 17, {ints("strides", {2, 2})}};
  EXPECT_EQ(inferred(strided, {typed({"n", 3, 9, 32}), typed({8, 3, 3, 3})}), "float[n,8,4,15]");
  const OpUse auto_pad = {"Conv", 17, {ints("strides", {2}), text("auto_pad", "SAME_UPPER")}};
  EXPECT_EQ(inferred(auto_pad, {typed({1, 3, 9}), typed({8, 3, 3})}), "float[1,8,5]");
}

std::string fault(const OpUse& use, const std::vector<Type>& inputs) {
  return error_of(ErrorKind::bad_data, [&] { inferred(use, inputs); });
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Type x = typed({1, 32, 8, 8});
  EXPECT_EQ(fault({"Conv"}, {x, typed({8, 64, 3, 3})}), "node 'n' (Conv): weight has 64 input channels, expected 32");
  EXPECT_THAT(fault({"Conv", 17, {number("group", 3)}}, {x, typed({9, 11, 3, 3})}), HasSubstr("multiple of group 3"));
  EXPECT_THAT(fault({"Conv", 17, {number("group", 0)}}, {x, typed({9, 32, 3, 3})}), HasSubstr("group is 0"));
  EXPECT_THAT(fault({"Conv", 17, {number("group", 4)}}, {x, typed({9, 8, 3, 3})}), HasSubstr("9 output channels"));
  EXPECT_THAT(fault({"Conv"}, {x, typed({8, 32, 9, 3})}), HasSubstr("smaller than the window"));
  EXPECT_THAT(fault({"Conv"}, {x, typed({8, 32, 3, 3}), typed({7})}), HasSubstr("bias has 7 elements, expected 8"));
  EXPECT_THAT(fault({"Conv"}, {x, typed({8, 32, 3})}), HasSubstr("rank"));
  EXPECT_THAT(fault({"Conv"}, {typed({1, 32}), typed({8, 32, 3})}), HasSubstr("rank 2"));
  EXPECT_THAT(fault({"Conv", 17, {ints("strides", {1})}}, {x, typed({8, 32, 3, 3})}), HasSubstr("strides has 1 numbers, expected 2"));
  EXPECT_THAT(fault({"Conv", 17, {ints("strides", {0, 1})}}, {x, typed({8, 32, 3, 3})}), HasSubstr("none below 1"));
  EXPECT_THAT(fault({"Conv", 17, {ints("strides", {INT64_MAX, 1})}}, {x, typed({8, 32, 3, 3})}), HasSubstr("none above 2147483647"));
  EXPECT_THAT(fault({"Conv", 17, {ints("pads", {-1, 0, 0, 0})}}, {x, typed({8, 32, 3, 3})}), HasSubstr("none below 0"));
  EXPECT_THAT(fault({"Conv", 17, {ints("kernel_shape", {3, 5})}}, {x, typed({8, 32, 3, 3})}), HasSubstr("but the weight has [3,3]"));
  EXPECT_THAT(fault({"Conv", 17, {text("auto_pad", "SOME")}}, {x, typed({8, 32, 3, 3})}), HasSubstr("auto_pad is 'SOME'"));
  EXPECT_THAT(fault({"Conv"}, {typed({1, 32, 8, 8}, DataType::int32), typed({8, 32, 3, 3})}), HasSubstr("int32"));
  EXPECT_THAT(fault({"Conv"}, {x}), HasSubstr("has 1 inputs"));
}

TEST(Conv, CostCountsMultiplyAccumulates) {
  const Cost cost = cost_of({"Conv", 17, {number("group", 2)}}, {typed({2, 4, 5, 5}), typed({6, 2, 3, 3}), typed({6})});
  EXPECT_EQ(cost.macs, 2 * 6 * 9 * 2 * 9);
  EXPECT_EQ(cost.flops, 2 * cost.macs + 2 * 6 * 9);
  EXPECT_EQ(cost.bytes, 4 * (200 + 108 + 6 + 108));
}

TEST(ConvTranspose, SpreadsEachInput) {
  const Tensor x = floats({1, 1, 2}, {1, 10}), w = floats({1, 1, 3}, {1, 2, 3});
  expect_near(run_op({"ConvTranspose"}, {x, w})[0], floats({1, 1, 4}, {1, 12, 23, 30}));
  expect_near(run_op({"ConvTranspose", 17, {ints("strides", {2}), ints("output_padding", {1})}}, {x, w})[0],
              floats({1, 1, 6}, {1, 2, 13, 20, 30, 0}));
  expect_near(run_op({"ConvTranspose", 17, {ints("pads", {1, 0})}}, {x, w})[0], floats({1, 1, 3}, {12, 23, 30}));
}

TEST(ConvTranspose, RefusesSizesBelowZero) {
  EXPECT_THAT(fault({"ConvTranspose", 17, {ints("output_shape", {INT64_MIN})}}, {typed({1, 1, 3}), typed({1, 1, 2})}), HasSubstr("none below 0"));
  EXPECT_THAT(fault({"ConvTranspose", 17, {ints("output_padding", {INT64_MAX})}}, {typed({1, 1, 3}), typed({1, 1, 2})}), HasSubstr("output_padding is [9223372036854775807]"));
}

TEST(ConvTranspose, IsTheAdjointOfConv) {
  const Geometry g{2, 1, 2, 2};
  const Tensor x = random_tensor({2, 4, 7, 9}, 3), w = random_tensor({6, 2, 3, 3}, 4);
  const Tensor y = run_op({"Conv", 17, attributes(g)}, {x, w})[0], v = random_tensor(y.dims(), 5);
  const Tensor back = run_op({"ConvTranspose", 17, attributes(g)}, {v, w})[0];
  ASSERT_EQ(back.dims(), x.dims());
  double left = 0, right = 0;
  for (int64_t i = 0; i < y.size(); ++i) left += static_cast<double>(y.data<float>()[i]) * static_cast<double>(v.data<float>()[i]);
  for (int64_t i = 0; i < x.size(); ++i) right += static_cast<double>(x.data<float>()[i]) * static_cast<double>(back.data<float>()[i]);
  EXPECT_NEAR(left, right, 1e-3);
}

}  // namespace
}  // namespace espalier
