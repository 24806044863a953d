// Pooling in all its forms, forward and backward, without the reference: plain, and behind a convolution whose channels lie
// in blocks (20 of them, so that the last is padded).
#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/lib/runtime/plan_check.h"

namespace espalier {
namespace {

using testing::check_plan;
using testing::expect_fast;

std::string plain(const std::string& dims, const std::string& node, int opset = 19) {
  return "graph g (x: float[" + dims + "]) -> (y) opset " + std::to_string(opset) + " { y = " + node + " }";
}

std::string blocked(const std::string& node) {
  return "graph g (x: float[2,3,9,10], w: float[20,3,3,3]) -> (y) opset 19 { h = Conv(x, w) {pads = [1,1,1,1]}\n y = " + node + " }";
}

const char* const kForms[] = {
    "kernel_shape = [3,2]",
    "kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]",
    "kernel_shape = [3,3], strides = [2,2], ceil_mode = 1",
    "kernel_shape = [3,2], strides = [2,3], ceil_mode = 1, pads = [1,0,1,1]",
    "kernel_shape = [2,2], dilations = [2,3]",
    "kernel_shape = [3,3], dilations = [2,1], strides = [1,2], pads = [2,1,2,1]",
    "kernel_shape = [3,2], auto_pad = \"SAME_UPPER\", strides = [2,2]",
    "kernel_shape = [3,2], auto_pad = \"SAME_LOWER\", dilations = [1,2]",
    "kernel_shape = [9,10]",
};

TEST(PoolPlan, MaximaAveragesAndPowers) {
  for (const std::string form : kForms) {
    for (const std::string op : {"MaxPool", "AveragePool", "LpPool"}) {
      expect_fast(plain("2,5,9,10", op + "(x) {" + form + "}"));
      expect_fast(blocked(op + "(h) {" + form + "}"));
    }
    expect_fast(plain("2,5,9,10", "AveragePool(x) {count_include_pad = 1, " + form + "}"));
    expect_fast(blocked("AveragePool(h) {count_include_pad = 1, " + form + "}"));
  }
  for (const std::string p : {"1", "3"}) expect_fast(blocked("LpPool(h) {kernel_shape = [3,2], p = " + p + "}"));
}

TEST(PoolPlan, OneAndThreeAxesAndMore) {
  for (const std::string op : {"MaxPool", "AveragePool", "LpPool"}) {
    expect_fast(plain("2,5,19", op + "(x) {kernel_shape = [3], strides = [2]}"));
    expect_fast(plain("2,5,19", op + "(x) {kernel_shape = [3], dilations = [4], ceil_mode = 1, pads = [2,3]}"));
    expect_fast(plain("2,5,4,6,5", op + "(x) {kernel_shape = [2,3,2], strides = [1,2,2]}"));
    expect_fast(plain("2,5,4,6,5", op + "(x) {kernel_shape = [2,3,2], dilations = [2,1,3], pads = [1,1,1,0,0,1]}"));
  }
  expect_fast(plain("2,3,3,4,3,2", "LpPool(x) {kernel_shape = [2,2,1,2]}"));
}

TEST(PoolPlan, AllOfSpace) {
  for (const std::string op : {"GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"}) {
    for (const std::string dims : {"2,5,19", "2,5,9,10", "2,5,3,4,5"}) expect_fast(plain(dims, op + "(x)"));
    expect_fast(blocked(op + "(h)"));
  }
  expect_fast(blocked("GlobalLpPool(h) {p = 3}"));
}

TEST(PoolPlan, MaximaWithTheirPlaces) {
  for (const std::string form : kForms) {
    for (const std::string order : {"0", "1"}) {
      const std::string attributes = "{storage_order = " + order + ", " + form + "}";
      expect_fast("graph g (x: float[2,5,9,10]) -> (y, i) opset 19 { y, i = MaxPool(x) " + attributes + " }");
      expect_fast("graph g (x: float[2,3,9,10], w: float[20,3,3,3]) -> (y, i) opset 19 { h = Conv(x, w) {pads = [1,1,1,1]}\n y, i = MaxPool(h) " + attributes + " }");
    }
  }
  expect_fast("graph g (x: float[2,5,19]) -> (y, i) opset 19 { y, i = MaxPool(x) {kernel_shape = [3], strides = [2]} }");
  expect_fast("graph g (x: float[2,5,4,6,5]) -> (y, i) opset 19 { y, i = MaxPool(x) {kernel_shape = [2,3,2], storage_order = 1} }");
}

TEST(PoolPlan, Unpooling) {
  const std::string front = "graph g (x: float[2,3,6,8]) -> (y) opset 19 { a, i = MaxPool(x) {kernel_shape = [2,2], strides = [2,2]}\n b = Mul(a, a)\n ";
  expect_fast(front + "y = MaxUnpool(b, i) {kernel_shape = [2,2], strides = [2,2]} }");
  expect_fast(front + "s: int64[4] = {2, 3, 7, 9}\n y = MaxUnpool(b, i, s) {kernel_shape = [2,2], strides = [2,2]} }");
  // Windows that overlap name one place twice.
  expect_fast("graph g (x: float[2,3,7]) -> (y) opset 19 { a, i = MaxPool(x) {kernel_shape = [3]}\n y = MaxUnpool(a, i) {kernel_shape = [3]} }");
}

TEST(PoolPlan, UnpoolingChecksItsIndices) {
  const Graph graph = parse_graph("graph g (x: float[1,1,2], i: int64[1,1,2]) -> (y) opset 19 { y = MaxUnpool(x, i) {kernel_shape = [2], strides = [2]} }");
  ParameterStore store;
  Plan plan(graph, store, {});
  plan.feed("i", Tensor::of<int64_t>({1, 1, 2}, {0, 4}));
  EXPECT_THROW(plan.run(), Error);
}

TEST(PoolPlan, MaximaOfBytes) {
  for (const std::string type : {"int8", "uint8"}) {
    const std::string text = "graph g (x: " + type + "[2,5,9,10]) -> (y) opset 19 { y = MaxPool(x) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]} }";
    expect_fast(text, {.integers = 100, .backward = false});
  }
}

TEST(PoolPlan, ANotANumberWins) {
  Tensor x(DataType::float32, {1, 1, 3, 4});
  x.mutable_data<float>()[5] = NAN;
  x.mutable_data<float>()[7] = -INFINITY;
  for (const std::string outputs : {"y", "y, i"}) {
    expect_fast("graph g (x: float[1,1,3,4]) -> (" + outputs + ") opset 19 { " + outputs + " = MaxPool(x) {kernel_shape = [2,1], dilations = [2,1]} }",
                {.backward = false, .feeds = {{"x", x}}});
  }
}

}  // namespace
}  // namespace espalier
