#include "lib/runtime/plan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/graph/text.h"
#include "tests/support/zoo.h"

namespace espalier {
namespace {

/// Largest distance between a plan's outputs and the reference's, on random inputs.
double error_of(const std::string& text) {
  const Graph graph = parse_graph(text);
  const auto sizes = testing::concrete_inputs(graph, 2);
  const auto feeds = testing::random_feeds(graph, sizes, 5);
  ParameterStore store;
  CompileOptions options;
  options.input_shapes = sizes;
  options.frozen = true;
  Plan plan(graph, store, options);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  double error = 0;
  for (const auto& [name, tensor] : run_reference(graph, feeds)) {
    const auto a = plan.output_tensor(name).to_doubles(), b = tensor.to_doubles();
    for (size_t i = 0; i < b.size(); ++i) error = std::max(error, std::abs(a[i] - b[i]));
  }
  return error;
}

// One block of 16 channels lies as channels-last does, but its halves do not.
TEST(Plan, ConcatenatesTwoHalvesOfOneBlock) {
  EXPECT_LT(error_of(R"(graph g (x: float[2,8,5,5]) -> (y) opset 17 {
    w: float[8,8,1,1] = fill(1)
    v = Conv(x, w)
    y = Concat(v, v) {axis = 1}
  })"), 1e-5);
}

// oneDNN 2.6 gives every post-op of one algorithm the parameters of the first.
TEST(Plan, FusesNoSecondActivationOfOneAlgorithm) {
  EXPECT_LT(error_of(R"(graph g (x: float[1,8,5,5]) -> (y) opset 17 {
    w: float[8,8,3,3] = fill(1)
    v = Conv(x, w)
    a = HardSigmoid(v)
    y = HardSigmoid(a) {alpha = 0.7, beta = 0.1}
  })"), 1e-5);
  EXPECT_LT(error_of(R"(graph g (x: float[2,8]) -> (y) opset 17 {
    w: float[8,8] = fill(1)
    v = Gemm(x, w)
    a = LeakyRelu(v) {alpha = 0.5}
    y = Relu(a)
  })"), 1e-5);
}

TEST(Plan, FusesHardSigmoidBehindAScaledProduct) {
  EXPECT_LT(error_of(R"(graph g (x: float[1,3], z: float[1,39]) -> (y) opset 17 {
    v = Gemm(x, z) {transA = 1, alpha = 0.836}
    y = HardSigmoid(v)
  })"), 1e-5);
}

}  // namespace
}  // namespace espalier
