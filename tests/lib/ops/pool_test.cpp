#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Tensor counting(Dims dims) {
  Tensor t(DataType::float32, std::move(dims));
  auto values = t.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return t;
}

TEST(MaxPool, TakesTheLargestOfEachWindow) {
  const OpUse use = {"MaxPool", 12, {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})}};
  expect_near(run_op(use, {counting({1, 1, 4, 4})})[0], floats({1, 1, 2, 2}, {5, 7, 13, 15}));
  const OpUse overlapping = {"MaxPool", 12, {ints("kernel_shape", {3}), ints("pads", {1, 1})}};
  expect_near(run_op(overlapping, {floats({1, 1, 4}, {-3, -1, -2, -5})})[0], floats({1, 1, 4}, {-1, -1, -1, -2}));
  const OpUse dilated = {"MaxPool", 12, {ints("kernel_shape", {2}), ints("dilations", {2})}};
  expect_near(run_op(dilated, {floats({1, 1, 4}, {9, 1, 2, 5})})[0], floats({1, 1, 2}, {9, 5}));
}

TEST(MaxPool, CeilModeAddsTheLastPartialWindowUnlessItStartsInThePadding) {
  const OpUse use = {"MaxPool", 12, {ints("kernel_shape", {2}), ints("strides", {2}), number("ceil_mode", 1)}};
  expect_near(run_op(use, {counting({1, 1, 5})})[0], floats({1, 1, 3}, {1, 3, 4}));
  const OpUse padded = {"MaxPool", 12, {ints("kernel_shape", {1}), ints("strides", {2}), number("ceil_mode", 1)}};
  expect_near(run_op(padded, {counting({1, 1, 4})})[0], floats({1, 1, 2}, {0, 2}));
  EXPECT_EQ(inferred(use, {typed({"n", 1, 5})}), "float[n,1,3]");
}

TEST(MaxPool, IndicesCountThroughTheWholeTensor) {
  OpUse use = {"MaxPool", 12, {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})}, 2};
  const Tensor x = counting({2, 1, 2, 4});
  EXPECT_EQ(run_op(use, {x})[1], Tensor::of<int64_t>({2, 1, 1, 2}, {5, 7, 13, 15}));
  use.attributes.push_back(number("storage_order", 1));
  EXPECT_EQ(run_op(use, {x})[1], Tensor::of<int64_t>({2, 1, 1, 2}, {3, 7, 11, 15}));
}

TEST(MaxPool, OfIntegersAndHalves) {
  const OpUse use = {"MaxPool", 12, {ints("kernel_shape", {2})}};
  EXPECT_EQ(run_op(use, {Tensor::of<int8_t>({1, 1, 3}, {-5, -7, -6})})[0], Tensor::of<int8_t>({1, 1, 2}, {-5, -6}));
  EXPECT_EQ(run_op(use, {Tensor::of<uint8_t>({1, 1, 2}, {200, 7})})[0], Tensor::of<uint8_t>({1, 1, 1}, {200}));
  expect_near(run_op(use, {counting({1, 1, 3}).cast(DataType::float16)})[0], floats({1, 1, 2}, {1, 2}).cast(DataType::float16));
}

TEST(AveragePool, CountsThePaddingOnlyOnRequest) {
  const Tensor x = floats({1, 1, 3}, {2, 4, 6});
  const OpUse use = {"AveragePool", 11, {ints("kernel_shape", {3}), ints("pads", {1, 1})}};
  expect_near(run_op(use, {x})[0], floats({1, 1, 3}, {3, 4, 5}));
  OpUse with = use;
  with.attributes.push_back(number("count_include_pad", 1));
  expect_near(run_op(with, {x})[0], floats({1, 1, 3}, {2, 4, 10.0f / 3}));
}

TEST(AveragePool, WhatCeilModeAddsBeyondThePaddingNeverCounts) {
  const OpUse use = {"AveragePool", 19, {ints("kernel_shape", {2}), ints("strides", {2}), number("ceil_mode", 1), number("count_include_pad", 1)}};
  expect_near(run_op(use, {floats({1, 1, 3}, {2, 4, 6})})[0], floats({1, 1, 2}, {3, 6}));
}

TEST(AveragePool, OfDilatedWindowsAndAutoPad) {
  const Tensor x = floats({1, 1, 4}, {1, 2, 3, 6});
  expect_near(run_op({"AveragePool", 19, {ints("kernel_shape", {2}), ints("dilations", {2})}}, {x})[0], floats({1, 1, 2}, {2, 4}));
  expect_near(run_op({"AveragePool", 11, {ints("kernel_shape", {2}), text("auto_pad", "SAME_UPPER")}}, {x})[0], floats({1, 1, 4}, {1.5f, 2.5f, 4.5f, 6}));
}

TEST(LpPool, IsTheNormOfEachWindow) {
  expect_near(run_op({"LpPool", 11, {ints("kernel_shape", {2})}}, {floats({1, 1, 3}, {3, -4, 0})})[0], floats({1, 1, 2}, {5, 4}));
  expect_near(run_op({"LpPool", 11, {ints("kernel_shape", {2}), number("p", 1)}}, {floats({1, 1, 3}, {3, -4, 0})})[0], floats({1, 1, 2}, {7, 4}));
}

TEST(GlobalPool, ReducesEachPlane) {
  const Tensor x = floats({1, 2, 2, 2}, {1, 2, 3, 6, -1, -2, -3, -4});
  expect_near(run_op({"GlobalAveragePool"}, {x})[0], floats({1, 2, 1, 1}, {3, -2.5f}));
  expect_near(run_op({"GlobalMaxPool"}, {x})[0], floats({1, 2, 1, 1}, {6, -1}));
  expect_near(run_op({"GlobalLpPool", 2, {number("p", 1)}}, {x})[0], floats({1, 2, 1, 1}, {12, 10}));
  EXPECT_EQ(inferred({"GlobalAveragePool"}, {typed({"n", 2, "h", 7})}), "float[n,2,1,1]");
}

TEST(Pool, TakesOneWindowWhereTheStrideLeavesTheInput) {
  const auto large = ints("strides", {INT32_MAX});
  expect_near(run_op({"MaxPool", 12, {ints("kernel_shape", {2}), large}}, {counting({1, 1, 4})})[0], floats({1, 1, 1}, {1}));
  const OpUse ceil = {"AveragePool", 19, {ints("kernel_shape", {2}), large, number("ceil_mode", 1)}};
  expect_near(run_op(ceil, {counting({1, 1, 4})})[0], floats({1, 1, 1}, {0.5}));
  const OpUse same = {"MaxPool", 12, {ints("kernel_shape", {3}), large, text("auto_pad", "SAME_UPPER")}};
  expect_near(run_op(same, {counting({1, 1, 4})})[0], floats({1, 1, 1}, {2}));
}

TEST(Pool, RefusesWhatDoesNotFit) {
  const auto fault = [](const OpUse& use, Type x) { return error_of(ErrorKind::bad_data, [&] { inferred(use, {x}); }); };
  EXPECT_THAT(fault({"MaxPool"}, typed({1, 1, 4})), HasSubstr("'kernel_shape' is missing"));
  EXPECT_THAT(fault({"MaxPool", 12, {ints("kernel_shape", {2, 2})}}, typed({1, 1, 4})), HasSubstr("kernel_shape has 2 numbers, expected 1"));
  EXPECT_THAT(fault({"MaxPool", 12, {ints("kernel_shape", {5})}}, typed({1, 1, 4})), HasSubstr("smaller than the window [5]"));
  EXPECT_THAT(fault({"MaxPool", 12, {ints("kernel_shape", {2})}}, typed({1, 4})), HasSubstr("rank 2"));
  EXPECT_THAT(fault({"AveragePool", 12, {ints("kernel_shape", {0})}}, typed({1, 1, 4})), HasSubstr("none below 1"));
  EXPECT_THAT(fault({"AveragePool", 12, {ints("kernel_shape", {2})}}, typed({1, 1, 4}, DataType::int32)), HasSubstr("int32"));
}

TEST(Pool, CostCountsTheElementsUnderEachWindow) {
  EXPECT_EQ(cost_of({"MaxPool", 12, {ints("kernel_shape", {2, 2})}}, {typed({1, 3, 4, 4})}).flops, 3 * 9 * 4);
  EXPECT_EQ(cost_of({"GlobalAveragePool"}, {typed({1, 3, 4, 4})}).flops, 48);
}

}  // namespace
}  // namespace espalier
