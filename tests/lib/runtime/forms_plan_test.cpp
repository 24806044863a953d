// Forms of operators that once ran by the reference inside a plan: each has a fast step, and gives what the reference gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/lib/runtime/plan_check.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using testing::error_of;
using testing::expect_fast;
using testing::PlanCheck;
using ::testing::HasSubstr;

std::string of(const std::string& declared, const std::string& node, int opset = 18, const std::string& constants = "") {
  return "graph g (" + declared + ") -> (y) opset " + std::to_string(opset) + " { " + constants + "\n y = " + node + " }";
}

const PlanCheck kForward{.backward = false};

TEST(FormsPlan, OperandsAlignedByAnAxis) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div"}) {
    expect_fast(of("x: float[2,3,4,5], b: float[3]", op + "(x, b) {broadcast = 1, axis = 1}", 6), {.low = 0.5, .backward = false});
    expect_fast(of("x: float[2,3,4,5], b: float[3,4]", op + "(x, b) {broadcast = 1, axis = -3}", 6), {.low = 0.5, .backward = false});
    expect_fast(of("x: float[2,3,4,5], b: float[4,5]", op + "(x, b) {broadcast = 1}", 6), {.low = 0.5, .backward = false});
    expect_fast(of("x: float[2,3], b: float[2,3]", op + "(x, b)", 6), {.low = 0.5, .backward = false});
  }
  expect_fast(of("x: float[2,3,4], b: float[3]", "Pow(x, b) {broadcast = 1, axis = 1}", 1), {.low = 0.5, .backward = false});
}

TEST(FormsPlan, GroupNormalizationThatScalesGroups) {
  for (const std::string dims : {"2,6,9", "2,6,4,5", "2,6,2,3,4"}) {
    for (const std::string groups : {"1", "2", "6"}) {
      expect_fast(of("x: float[" + dims + "], s: float[" + groups + "], b: float[" + groups + "]", "GroupNormalization(x, s, b) {num_groups = " + groups + "}"));
    }
  }
  expect_fast(of("x: float[2,6,4,5]", "GroupNormalization(x, s, b) {num_groups = 3}", 18, "s: float[3] = {1, 2, 3} b: float[3] = {3, 2, 1}"));
}

TEST(FormsPlan, BoundsThatAreNotConstant) {
  for (const std::string bounds : {"low, high", "low", "_, high"}) {
    expect_fast(of("x: float[3,4,5], low: float[], high: float[]", "Clip(x, " + bounds + ")"), kForward);
  }
  const float nan = std::nanf("");
  const std::map<std::string, Tensor> feeds = {{"x", Tensor::of<float>({4}, {nan, -3, 0.5f, 3})}, {"low", Tensor::of<float>({}, {2})}, {"high", Tensor::of<float>({}, {1})}};
  expect_fast(of("x: float[4], low: float[], high: float[]", "Clip(x, low, high)"), {.backward = false, .feeds = feeds});
}

TEST(FormsPlan, IntegerExponents) {
  for (const std::string e : {"e: int64[] = {3}", "e: int32[] = {-2}", "e: int64[4] = {0, 1, 2, 5}", "e: int64[3,1] = {-1, 2, 3}"}) {
    expect_fast(of("x: float[2,3,4]", "Pow(x, e)", 18, e), {.low = -2, .backward = false});
  }
}

TEST(FormsPlan, IntegerDivision) {
  for (const std::string type : {"int64", "int32"}) {
    for (const std::string op : {"Div(x, d)", "Mod(x, d)", "Mod(x, d) {fmod = 1}"}) {
      for (const std::string divisor : {"[] = {3}", "[] = {-1}", "[4] = {1, -2, 3, 7}", "[3,1] = {-5, 2, 4}"}) {
        expect_fast(of("x: " + type + "[2,3,4]", op, 18, "d: " + type + divisor), {.integers = 9, .backward = false});
      }
    }
  }
  const Graph graph = parse_graph(of("x: int64[3], d: int64[3]", "Div(x, d)"));
  ParameterStore store;
  Plan plan(graph, store, {});
  plan.feed("x", Tensor::of<int64_t>({3}, {1, 2, 3}));
  plan.feed("d", Tensor::of<int64_t>({3}, {1, 0, 3}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { plan.run(); }), HasSubstr("integer division by zero"));
}

TEST(FormsPlan, Hardmax) {
  for (const std::string axis : {"0", "1", "2", "-1"}) {
    expect_fast(of("x: float[3,4,5]", "Hardmax(x) {axis = " + axis + "}"), kForward);
    if (axis != "-1") expect_fast(of("x: float[3,4,5]", "Hardmax(x) {axis = " + axis + "}", 11), kForward);
  }
  const float nan = std::nanf("");
  const std::map<std::string, Tensor> feeds = {{"x", Tensor::of<float>({3, 3}, {2, nan, 1, nan, 3, 3, 1, 1, 0})}};
  expect_fast(of("x: float[3,3]", "Hardmax(x)"), {.backward = false, .feeds = feeds});
}

TEST(FormsPlan, ScattersThatCombine) {
  const float nan = std::nanf("");
  for (const std::string reduction : {"add", "mul", "max", "min"}) {
    const std::string how = "reduction = \"" + reduction + "\"";
    expect_fast(of("x: float[6,5], u: float[4,5]", "ScatterElements(x, i, u) {" + how + "}", 18,
                   "i: int64[4,5] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, -1, -6, 0, 0, 0, 2}"), kForward);
    expect_fast(of("x: float[6,5], u: float[3,5]", "ScatterND(x, i, u) {" + how + "}", 18, "i: int64[3,1] = {1, 1, 4}"), kForward);
    const std::map<std::string, Tensor> feeds = {{"x", Tensor::of<float>({4}, {nan, 1, 2, 3})}, {"u", Tensor::of<float>({3}, {5, nan, -1})}};
    expect_fast(of("x: float[4], u: float[3]", "ScatterElements(x, i, u) {" + how + "}", 18, "i: int64[3] = {0, 1, 2}"), {.backward = false, .feeds = feeds});
  }
}

}  // namespace
}  // namespace espalier
