// Gemm and MatMul.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const Tensor kA = floats({2, 3}, {1, 2, 3, 4, 5, 6}), kAt = floats({3, 2}, {1, 4, 2, 5, 3, 6});
const Tensor kB = floats({3, 2}, {1, 0, 0, 1, 10, 100}), kBt = floats({2, 3}, {1, 0, 10, 0, 1, 100});
const Tensor kAB = floats({2, 2}, {31, 302, 64, 605});

TEST(Gemm, TransposesEitherSide) {
  expect_near(run_op({"Gemm"}, {kA, kB})[0], kAB);
  expect_near(run_op({"Gemm", 13, {number("transA", 1)}}, {kAt, kB})[0], kAB);
  expect_near(run_op({"Gemm", 13, {number("transB", 1)}}, {kA, kBt})[0], kAB);
  expect_near(run_op({"Gemm", 13, {number("transA", 1), number("transB", 1)}}, {kAt, kBt})[0], kAB);
}

TEST(Gemm, ScalesAndAddsAnythingThatBroadcasts) {
  const OpUse use = {"Gemm", 13, {real("alpha", 2), real("beta", 0.5f)}};
  expect_near(run_op(use, {kA, kB, floats({2}, {2, 4})})[0], floats({2, 2}, {63, 606, 129, 1212}));
  expect_near(run_op(use, {kA, kB, floats({2, 1}, {2, 4})})[0], floats({2, 2}, {63, 605, 130, 1212}));
  expect_near(run_op(use, {kA, kB, Tensor::scalar(2.0f)})[0], floats({2, 2}, {63, 605, 129, 1211}));
  EXPECT_EQ(run_op({"Gemm"}, {kA.cast(DataType::int32), kB.cast(DataType::int32)})[0], kAB.cast(DataType::int32));
}

TEST(Gemm, RefusesWhatDoesNotFit) {
  const auto fault = [](const std::vector<Type>& types) { return error_of(ErrorKind::bad_data, [&] { inferred({"Gemm"}, types); }); };
  EXPECT_THAT(fault({typed({2, 3}), typed({4, 2})}), HasSubstr("weight has 4 input features, expected 3"));
  EXPECT_THAT(fault({typed({2, 3}), typed({3, 2}), typed({3})}), HasSubstr("C has shape [3]"));
  EXPECT_THAT(fault({typed({2, 3, 1}), typed({3, 2})}), HasSubstr("rank 3, expected 2"));
  EXPECT_EQ(inferred({"Gemm", 13, {number("transB", 1)}}, {typed({"n", 3}), typed({10, 3}), typed({10})}), "float[n,10]");
}

TEST(MatMul, OfVectorsMatricesAndStacks) {
  expect_near(run_op({"MatMul"}, {kA, kB})[0], kAB);
  const Tensor v = floats({3}, {1, 1, 1});
  expect_near(run_op({"MatMul"}, {v, v})[0], Tensor::scalar(3.0f));
  expect_near(run_op({"MatMul"}, {kA, v})[0], floats({2}, {6, 15}));
  expect_near(run_op({"MatMul"}, {v, kB})[0], floats({2}, {11, 101}));
  const Tensor stack = floats({2, 1, 1, 2}, {1, 2, 3, 4}), columns = floats({3, 2, 1}, {1, 0, 0, 1, 1, 1});
  expect_near(run_op({"MatMul"}, {stack, columns})[0], floats({2, 3, 1, 1}, {1, 2, 3, 3, 4, 7}));
  EXPECT_EQ(run_op({"MatMul"}, {kA.cast(DataType::uint64), kB.cast(DataType::uint64)})[0], kAB.cast(DataType::uint64));
}

TEST(MatMul, SumsInDouble) {
  std::vector<float> row(30001, 0.1f);
  row[0] = 1e8f;
  const Tensor a = floats({1, 30001}, row), ones = floats({30001, 1}, std::vector<float>(30001, 1.0f));
  EXPECT_FLOAT_EQ(run_op({"MatMul"}, {a, ones})[0].data<float>()[0], 100003000.0f);
}

TEST(MatMul, ShapesAndErrors) {
  EXPECT_EQ(inferred({"MatMul"}, {typed({"n", 8, "t", 64}), typed({8, 64, "t"})}), "float[n,8,t,t]");
  EXPECT_EQ(inferred({"MatMul"}, {typed({"n", 64}), typed({64})}), "float[n]");
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { inferred({"MatMul"}, {typed({2, 3}), typed({4, 2})}); }), HasSubstr("inner sizes of [2,3] and [4,2] differ"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { inferred({"MatMul"}, {typed({2, 1, 3}), typed({4, 3, 2})}); }), HasSubstr("do not broadcast"));
}

TEST(Products, CountMultiplyAccumulates) {
  EXPECT_EQ(cost_of({"Gemm"}, {typed({5, 3}), typed({3, 7}), typed({7})}).macs, 105);
  EXPECT_EQ(cost_of({"MatMul"}, {typed({2, 5, 3}), typed({3, 7})}).macs, 210);
}

}  // namespace
}  // namespace espalier
