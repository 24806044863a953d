// Where the last bit decides: sums that are rounded to steps, and spreads that are rounding alone.
#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/lib/runtime/plan_check.h"

namespace espalier {
namespace {

std::vector<double> run(const std::string& text, const std::map<std::string, Tensor>& feeds) {
  const Graph graph = parse_graph(text);
  ParameterStore store;
  CompileOptions options;
  options.frozen = true;
  Plan plan(graph, store, options);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  EXPECT_EQ(plan.counters().fallback_steps, 0);
  return plan.output_tensor(graph.value(graph.outputs.at(0)).name).to_doubles();
}

/// 2^24 + 1 is no float: 2^24 and 1 make 2^24, to which a bias of -2^24 adds to 0; begun with the bias the sum would be 1.
TEST(ExactnessPlan, BiasIsAddedLastWhereTheResultIsQuantized) {
  const std::string net =
      "graph g (x: float[1,2,4,4]) -> (q) opset 13 { w: float[2,2,1,1] = {1, 1, 1, 1} b: float[2] = {-16777216, -16777216} s: float[] = {1} "
      "z: int8[] = {0}\n y = Conv(x, w, b)\n";
  Tensor x(DataType::float32, {1, 2, 4, 4});
  for (int64_t i = 0; i < x.size(); ++i) x.mutable_data<float>()[static_cast<size_t>(i)] = i < 16 ? 0x1p24f : 1.0f;
  for (const double q : run(net + "q = QuantizeLinear(y, s, z) }", {{"x", x}})) EXPECT_EQ(q, 0);
  for (const double q : run(net + "c = Relu(y)\n q = QuantizeLinear(c, s, z) }", {{"x", x}})) EXPECT_EQ(q, 0);
}

/// A mean that is off by its last bit, or a product of it that is rounded, would be divided by 1e-9.
TEST(ExactnessPlan, WhatDoesNotVaryIsNormalizedToZero) {
  for (const std::string node : {"MeanVarianceNormalization(x)", "MeanVarianceNormalization(x) {axes = [1,2,3]}", "MeanVarianceNormalization(x) {axes = [2,3]}"}) {
    Tensor x(DataType::float32, {3, 5, 7, 3});
    for (float& v : x.mutable_data<float>()) v = 0.34233055f;
    for (const double y : run("graph g (x: float[3,5,7,3]) -> (y) opset 13 { y = " + node + " }", {{"x", x}})) EXPECT_EQ(y, 0) << node;
  }
  Tensor x(DataType::float32, {2, 4, 9});
  for (int64_t i = 0; i < x.size(); ++i) x.mutable_data<float>()[static_cast<size_t>(i)] = 1e6f + static_cast<float>(i / 9) * 0.3f;
  const std::string weights = "s: float[4] = {1, 2, 3, 4} b: float[4] = {0.1, 0.2, 0.3, 0.4}\n";
  const auto y = run("graph g (x: float[2,4,9]) -> (y) opset 13 { " + weights + "y = InstanceNormalization(x, s, b) {epsilon = 1e-12} }", {{"x", x}});
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], static_cast<double>(0.1f * static_cast<float>(i / 9 % 4 + 1))) << i;
}

}  // namespace
}  // namespace espalier
