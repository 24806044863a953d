#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

double mean(const Tensor& t) {
  const auto values = t.to_doubles();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(const Tensor& t) {
  const double centre = mean(t);
  double sum = 0;
  for (const double v : t.to_doubles()) sum += (v - centre) * (v - centre);
  return std::sqrt(sum / static_cast<double>(t.size()));
}

OpUse use(const char* op, std::vector<Attribute> attributes, float seed = 1) {
  attributes.push_back(real("seed", seed));
  return {op, 22, std::move(attributes)};
}

TEST(RandomNormal, HasItsMeanAndDeviation) {
  const Tensor x = run_op(use("RandomNormal", {ints("shape", {100, 100}), real("mean", 3), real("scale", 2)}), {})[0];
  EXPECT_NEAR(mean(x), 3, 0.1);
  EXPECT_NEAR(deviation(x), 2, 0.1);
  EXPECT_EQ(run_op(use("RandomNormal", {ints("shape", {2}), number("dtype", 11)}), {})[0].type(), DataType::float64);
}

TEST(RandomUniform, LiesBetweenItsBounds) {
  const Tensor x = run_op(use("RandomUniform", {ints("shape", {10000}), real("low", -1), real("high", 3)}), {})[0];
  EXPECT_NEAR(mean(x), 1, 0.1);
  for (const double v : x.to_doubles()) EXPECT_TRUE(v >= -1 && v < 3) << v;
}

TEST(Random, IsAFunctionOfTheSeed) {
  const OpUse one = use("RandomUniformLike", {}, 5), other = use("RandomUniformLike", {}, 6);
  const Tensor like = floats({4}, {0, 0, 0, 0});
  EXPECT_EQ(run_op(one, {like})[0], run_op(one, {like})[0]);
  EXPECT_FALSE(run_op(one, {like})[0] == run_op(other, {like})[0]);
  EXPECT_EQ(run_op(use("RandomNormalLike", {number("dtype", 10)}), {Tensor(DataType::int32, {2, 3})})[0].type(), DataType::float16);
}

TEST(Random, IsNeverFolded) {
  for (const char* name : {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}) {
    EXPECT_FALSE(find_op("", name)->deterministic) << name;
  }
}

TEST(Bernoulli, IsOneAsOftenAsItsProbabilitySays) {
  const Tensor p(floats({20000}, std::vector<float>(20000, 0.3f)));
  const Tensor x = run_op(use("Bernoulli", {number("dtype", 9)}), {p})[0];
  EXPECT_EQ(x.type(), DataType::boolean);
  EXPECT_NEAR(mean(x), 0.3, 0.02);
}

TEST(Multinomial, DrawsClassesByTheirWeights) {
  const Tensor logs = doubles({2, 3}, {std::log(1.0), std::log(3.0), -INFINITY, std::log(5.0), -INFINITY, std::log(5.0)});
  const Tensor x = run_op(use("Multinomial", {number("sample_size", 10000)}), {logs})[0];
  ASSERT_EQ(x.dims(), (Dims{2, 10000}));
  std::array<std::array<double, 3>, 2> share = {};
  for (int64_t i = 0; i < x.size(); ++i) share[static_cast<size_t>(i / 10000)][static_cast<size_t>(x.data<int32_t>()[i])] += 1e-4;
  EXPECT_NEAR(share[0][1], 0.75, 0.02);
  EXPECT_EQ(share[0][2], 0);
  EXPECT_NEAR(share[1][0], 0.5, 0.02);
  EXPECT_EQ(share[1][1], 0);
}

TEST(Random, RefusesImpossibleAttributes) {
  const auto message = [](const OpUse& op, const std::vector<Type>& types) { return error_of(ErrorKind::bad_data, [&] { inferred(op, types); }); };
  EXPECT_THAT(message(use("RandomUniform", {ints("shape", {2}), real("low", 2), real("high", 1)}), {}), HasSubstr("above high"));
  EXPECT_THAT(message(use("RandomNormal", {ints("shape", {-2})}), {}), HasSubstr("shape is [-2]"));
  EXPECT_THAT(message(use("RandomNormal", {ints("shape", {2}), real("scale", -1)}), {}), HasSubstr("scale is"));
  EXPECT_THAT(message(use("RandomNormalLike", {number("dtype", 7)}), {typed({2})}), HasSubstr("dtype is int64"));
  EXPECT_THAT(message(use("Multinomial", {}), {typed({2, 0})}), HasSubstr("no class to draw"));
}

OpUse step(const char* op, std::vector<Attribute> attributes, size_t outputs) { return {op, 1, std::move(attributes), outputs, "ai.onnx.preview.training"}; }

TEST(OptimizerSteps, FollowTheirEquations) {
  const Tensor rate = doubles({}, {0.1}), t0 = Tensor::scalar<int64_t>(0), t2 = Tensor::scalar<int64_t>(2);
  const Tensor x = doubles({1}, {1}), g = doubles({1}, {0.5}), v = doubles({1}, {2}), h = doubles({1}, {4});
  const auto momentum = run_op(step("Momentum", {text("mode", "standard"), real("alpha", 0.5f), real("beta", 0.25f), real("norm_coefficient", 0)}, 2), {rate, t2, x, g, v});
  expect_near(momentum[1], doubles({1}, {1.125}), 1e-12);
  expect_near(momentum[0], doubles({1}, {1 - 0.1125}), 1e-12);
  const auto first = run_op(step("Momentum", {text("mode", "nesterov"), real("alpha", 0.5f), real("beta", 0.25f), real("norm_coefficient", 0)}, 2), {rate, t0, x, g, v});
  expect_near(first[0], doubles({1}, {1 - 0.1 * (0.5 + 0.5 * 1.5)}), 1e-12);
  const auto adagrad = run_op(step("Adagrad", {real("epsilon", 0), real("decay_factor", 0.5f)}, 2), {rate, t2, x, g, h});
  expect_near(adagrad[0], doubles({1}, {1 - 0.05 * 0.5 / std::sqrt(4.25)}), 1e-12);
  const auto adam = run_op(step("Adam", {real("epsilon", 0), real("alpha", 0.5f), real("beta", 0.75f)}, 3), {rate, t2, x, g, v, h});
  const double first_moment = 1.25, second = 3.0625, factor = 0.1 * std::sqrt(1 - 0.5625) / 0.75;
  expect_near(adam[0], doubles({1}, {1 - factor * first_moment / std::sqrt(second)}), 1e-12);
  expect_near(adam[1], doubles({1}, {first_moment}), 1e-12);
  expect_near(adam[2], doubles({1}, {second}), 1e-12);
}

TEST(OptimizerSteps, RefuseTensorsThatDoNotGoTogether) {
  const auto message = [](const OpUse& op, const std::vector<Type>& types) { return error_of(ErrorKind::bad_data, [&] { inferred(op, types); }); };
  const Type r = typed({}), t = typed({}, DataType::int64);
  EXPECT_THAT(message(step("Adagrad", {}, 2), {r, t, typed({2}), typed({3}), typed({2})}), HasSubstr("input 3 has shape [3], expected [2]"));
  EXPECT_THAT(message(step("Adagrad", {}, 2), {r, t, typed({2}), typed({2})}), HasSubstr("has 4 inputs, expected 2 and 3 for each tensor"));
  EXPECT_THAT(message(step("Momentum", {text("mode", "fast")}, 2), {r, t, typed({2}), typed({2}), typed({2})}), HasSubstr("mode is 'fast'"));
}

}  // namespace
}  // namespace espalier
