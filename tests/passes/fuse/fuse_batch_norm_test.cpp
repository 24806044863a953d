#include <cmath>

#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "fuse-batch-norm";

constexpr const char* kNorm = R"(
  scale: float[2] = {2, 3}
  bias: float[2] = {0.5, 1}
  mean: float[2] = {0.25, -1}
  var: float[2] = {4, 9}
)";

std::string net(const std::string& type, const std::string& body, const std::string& outputs = "(y)") {
  return "graph g (x: " + type + ") -> " + outputs + " {" + kNorm + body + "}";
}

TEST(FuseBatchNorm, ScalesTheWeightsOfAConv) {
  const Ran ran = run_pass(kPass, net("float[1,1,1,1]", R"(
      w: float[2,1,1,1] = {1, 10}
      b: float[2] = {0.5, 7}
      h = Conv(x, w, b)
      y = BatchNormalization(h, scale, bias, mean, var) {epsilon = 0.0})"));
  ASSERT_EQ(ran.graph.nodes().size(), 1u);
  const Node& conv = ran.graph.node(ran.graph.nodes()[0]);
  // s = scale / sqrt(var) = {1, 1}; b' = (b - mean) s + bias = {0.75, 9}
  EXPECT_EQ(*ran.graph.constant(conv.inputs[1]), Tensor::of<float>({2, 1, 1, 1}, {1, 10}));
  EXPECT_EQ(*ran.graph.constant(conv.inputs[2]), Tensor::of<float>({2}, {0.75, 9}));
  EXPECT_EQ(ran.graph.value(conv.outputs[0]).name, "y");
}

TEST(FuseBatchNorm, WorksForEveryKindOfLinearNode) {
  for (const char* body : {
           "w: float[2,3,3,3] = fill(1)\n h = Conv(x, w)\n y = BatchNormalization(h, scale, bias, mean, var)",
           "w: float[2,3,3,3] = fill(1)\n b: float[2] = fill(2, 1)\n h = Conv(x, w, b) {pads = [1,1,1,1]}\n"
           "y = BatchNormalization(h, scale, bias, mean, var)",
       }) {
    EXPECT_EQ(run_pass(kPass, net("float[n,3,5,5]", body)).count("batch-norms"), 1) << body;
  }
  for (const char* gemm : {"h = Gemm(x, w)", "h = Gemm(x, v) {transB = 1, alpha = 0.5}", "h = Gemm(x, w, c) {beta = 0.5}",
                           "h = Gemm(x, w, one)"}) {
    const std::string body = "w: float[3,2] = fill(1)\n v: float[2,3] = fill(2)\n c: float[1,2] = {1, 2}\n one: float[1] = {3}\n" +
                             std::string(gemm) + "\n y = BatchNormalization(h, scale, bias, mean, var)";
    EXPECT_EQ(run_pass(kPass, net("float[n,3]", body)).count("batch-norms"), 1) << gemm;
  }
}

TEST(FuseBatchNorm, CopiesAWeightThatOthersRead) {
  const Ran ran = run_pass(kPass, net("float[n,1,3,3]", R"(
      w: float[2,1,3,3] = fill(1)
      h = Conv(x, w)
      z = Conv(x, w)
      y = BatchNormalization(h, scale, bias, mean, var))", "(y, z)"));
  EXPECT_EQ(ran.count("batch-norms"), 1);
}

TEST(FuseBatchNorm, LeavesAConvAloneWhoseOutputHasAnotherReader) {
  expect_untouched(kPass, net("float[n,1,3,3]", R"(
      w: float[2,1,3,3] = fill(1)
      h = Conv(x, w)
      z = Relu(h)
      y = BatchNormalization(h, scale, bias, mean, var))", "(y, z)"));
}

TEST(FuseBatchNorm, LeavesAConvAloneWhoseOutputIsAGraphOutput) {
  expect_untouched(kPass, net("float[n,1,3,3]", R"(
      w: float[2,1,3,3] = fill(1)
      h = Conv(x, w)
      y = BatchNormalization(h, scale, bias, mean, var))", "(y, h)"));
}

TEST(FuseBatchNorm, LeavesTrainingModeAlone) {
  expect_untouched(kPass, net("float[n,1,3,3]", R"(
      w: float[2,1,3,3] = fill(1)
      h = Conv(x, w)
      y = BatchNormalization(h, scale, bias, mean, var) {training_mode = 1})"));
}

TEST(FuseBatchNorm, LeavesAComputedWeightAlone) {
  expect_untouched(kPass, "graph g (x: float[n,1,3,3], w: float[2,1,3,3]) -> (y) {" + std::string(kNorm) + R"(
      h = Conv(x, w)
      y = BatchNormalization(h, scale, bias, mean, var)
    })");
}

TEST(FuseBatchNorm, LeavesAGemmAloneWhoseBiasDiffersBetweenRows) {
  expect_untouched(kPass, net("float[2,3]", R"(
      w: float[3,2] = fill(1)
      c: float[2,2] = {1, 2, 3, 4}
      h = Gemm(x, w, c)
      y = BatchNormalization(h, scale, bias, mean, var))"));
}

TEST(FuseBatchNorm, LeavesAnActivationBetweenAlone) {
  expect_untouched(kPass, net("float[n,1,3,3]", R"(
      w: float[2,1,3,3] = fill(1)
      h = Conv(x, w)
      r = Relu(h)
      y = BatchNormalization(r, scale, bias, mean, var))"));
}

}  // namespace
}  // namespace espalier
