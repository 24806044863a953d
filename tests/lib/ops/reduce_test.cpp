// The reductions, ArgMax and ArgMin, CumSum.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const Tensor kX = floats({2, 3}, {1, -2, 3, 4, 5, -6});

TEST(Reduce, EachRule) {
  const auto rows = [](const char* op) { return run_op({op, 17, {ints("axes", {1}), number("keepdims", 0)}}, {kX})[0]; };
  expect_near(rows("ReduceMean"), floats({2}, {2.0f / 3, 1}));
  expect_near(rows("ReduceMax"), floats({2}, {3, 5}));
  expect_near(rows("ReduceMin"), floats({2}, {-2, -6}));
  expect_near(rows("ReduceProd"), floats({2}, {-6, -120}));
  expect_near(rows("ReduceL1"), floats({2}, {6, 15}));
  expect_near(rows("ReduceL2"), floats({2}, {std::sqrt(14.0f), std::sqrt(77.0f)}));
  expect_near(rows("ReduceSumSquare"), floats({2}, {14, 77}));
  expect_near(rows("ReduceLogSum"), floats({2}, {std::log(2.0f), std::log(3.0f)}));
  expect_near(rows("ReduceLogSumExp"), floats({2}, {std::log(std::exp(1.0f) + std::exp(-2.0f) + std::exp(3.0f)), std::log(std::exp(4.0f) + std::exp(5.0f) + std::exp(-6.0f))}));
}

TEST(Reduce, AxesAreAnAttributeOrAnInput) {
  expect_near(run_op({"ReduceSum", 11, {ints("axes", {0})}}, {kX})[0], floats({1, 3}, {5, 3, -3}));
  expect_near(run_op({"ReduceSum", 13}, {kX, int64s({-2})})[0], floats({1, 3}, {5, 3, -3}));
  expect_near(run_op({"ReduceMean", 18}, {kX, int64s({0, 1})})[0], floats({1, 1}, {5.0f / 6}));
  expect_near(run_op({"ReduceSum", 13}, {kX})[0], floats({1, 1}, {5}));
  expect_near(run_op({"ReduceSum", 13, {number("keepdims", 0)}}, {kX})[0], Tensor::scalar(5.0f));
  expect_near(run_op({"ReduceSum", 13, {number("noop_with_empty_axes", 1)}}, {kX, int64s({})})[0], kX);
}

TEST(Reduce, WithoutAxesEachElementIsASetOfItsOwn) {
  const Tensor x = floats({2}, {-2, 3});
  const auto reduced = [&](const char* op) { return run_op({op, 18, {number("noop_with_empty_axes", 1)}}, {x, int64s({})})[0]; };
  expect_near(reduced("ReduceSumSquare"), floats({2}, {4, 9}));
  expect_near(reduced("ReduceL1"), floats({2}, {2, 3}));
  expect_near(reduced("ReduceL2"), floats({2}, {2, 3}));
  expect_near(reduced("ReduceLogSumExp"), x);
  expect_near(reduced("ReduceMax"), x);
}

TEST(Reduce, TypesAndEmptySets) {
  EXPECT_EQ(run_op({"ReduceSum", 13}, {kX.cast(DataType::int32), int64s({1})})[0], Tensor::of<int32_t>({2, 1}, {2, 3}));
  EXPECT_EQ(run_op({"ReduceMax", 20}, {Tensor::of<bool>({2}, {false, true})})[0], Tensor::of<bool>({1}, {true}));
  EXPECT_EQ(run_op({"ReduceMax", 18}, {Tensor::of<int8_t>({2}, {-3, -9})})[0], Tensor::of<int8_t>({1}, {-3}));
  const Tensor none(DataType::float32, {0, 2});
  expect_near(run_op({"ReduceSum", 13}, {none, int64s({0})})[0], floats({1, 2}, {0, 0}));
  expect_near(run_op({"ReduceProd", 18}, {none, int64s({0})})[0], floats({1, 2}, {1, 1}));
  EXPECT_EQ(run_op({"ReduceMin", 18}, {none, int64s({0})})[0].data<float>()[0], std::numeric_limits<float>::infinity());
}

TEST(Reduce, ShapesAndErrors) {
  const OpUse use = {"ReduceMean", 13, {ints("axes", {-1, -2})}};
  EXPECT_EQ(inferred(use, {typed({"n", 8, "h", 7})}), "float[n,8,1,1]");
  EXPECT_EQ(inferred({"ReduceMean", 13, {ints("axes", {2, 3}), number("keepdims", 0)}}, {typed({"n", 8, "h", 7})}), "float[n,8]");
  EXPECT_EQ(inferred({"ReduceSum", 13}, {typed({"n", 8}), typed({1}, DataType::int64)}), "float[?,?]");
  EXPECT_EQ(inferred({"ReduceSum", 13, {number("keepdims", 0)}}, {typed({"n", 8}), typed({1}, DataType::int64)}), "float[...]");
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { inferred(use, {typed({3})}); }), HasSubstr("axis is -2"));
}

TEST(Reduce, CarriesTheProductOfSymbolicSizes) {
  const Fact product = infer_op({"ReduceProd", 13, {number("keepdims", 0)}}, {numbers({Dim::symbol("n"), 3, 4})})[0];
  EXPECT_EQ(product.numbers->front().str(), "12*n");
}

TEST(ArgExtremum, FirstOrLast) {
  const Tensor x = floats({2, 3}, {1, 3, 3, 5, 2, 2});
  EXPECT_EQ(run_op({"ArgMax", 13, {number("axis", 1)}}, {x})[0], Tensor::of<int64_t>({2, 1}, {1, 0}));
  EXPECT_EQ(run_op({"ArgMax", 13, {number("axis", 1), number("select_last_index", 1), number("keepdims", 0)}}, {x})[0], int64s({2, 0}));
  EXPECT_EQ(run_op({"ArgMin", 13, {number("axis", -2), number("keepdims", 0)}}, {x})[0], int64s({0, 1, 1}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"ArgMax", 13, {number("axis", 2)}}, {x}); }), HasSubstr("axis is 2"));
}

TEST(CumSum, ForwardsBackwardsAndExclusive) {
  const Tensor x = floats({3}, {1, 2, 4}), axis = Tensor::scalar<int64_t>(0);
  expect_near(run_op({"CumSum"}, {x, axis})[0], floats({3}, {1, 3, 7}));
  expect_near(run_op({"CumSum", 14, {number("exclusive", 1)}}, {x, axis})[0], floats({3}, {0, 1, 3}));
  expect_near(run_op({"CumSum", 14, {number("reverse", 1)}}, {x, axis})[0], floats({3}, {7, 6, 4}));
}

}  // namespace
}  // namespace espalier
