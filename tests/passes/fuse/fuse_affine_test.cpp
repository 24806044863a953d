#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "fuse-affine";

std::string conv(const std::string& constant, const std::string& node, const std::string& outputs = "(y)") {
  return "graph g (x: float[n,3,4,4]) -> " + outputs + " {\n w: float[2,3,3,3] = fill(1)\n" + constant + "\n h = Conv(x, w)\n" +
         node + "\n}";
}

TEST(FuseAffine, PutsFactorsAndTermsPerChannelIntoAConv) {
  for (const char* node : {"y = Mul(h, c)", "y = Mul(c, h)", "y = Add(h, c)", "y = Sub(h, c)", "y = Sub(c, h)", "y = Div(h, c)"}) {
    for (const char* constant : {"c: float[2,1,1] = {2, 3}", "c: float[1,2,1,1] = {2, 3}", "c: float[] = 2", "c: float[1,1] = {2}"}) {
      const Ran ran = run_pass(kPass, conv(constant, node));
      EXPECT_EQ(ran.count("affines"), 1) << node << " " << constant;
      EXPECT_EQ(ran.graph.nodes().size(), 1u);
    }
  }
}

TEST(FuseAffine, TakesAChain) {
  const Ran ran = run_pass(kPass, conv("c: float[2,1,1] = {2, 3}\n d: float[2,1,1] = {-1, 1}", "m = Mul(h, c)\n y = Add(m, d)"));
  EXPECT_EQ(ran.count("affines"), 2);
}

TEST(FuseAffine, WorksOnAGemm) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[n,3]) -> (y) {
      w: float[3,2] = fill(1)
      c: float[2] = {2, 3}
      h = Gemm(x, w)
      m = Mul(h, c)
      y = Add(m, c)
    })");
  EXPECT_EQ(ran.count("affines"), 2);
}

TEST(FuseAffine, LeavesWhatIsNotPerChannelAlone) {
  for (const char* constant : {"c: float[2] = {1, 2}", "c: float[1,2] = {1, 2}", "c: float[2,2,2] = iota", "c: float[2,1,1,1] = {1, 2}",
                               "c: float[1,1,1,1,1] = {3}"}) {
    expect_untouched(kPass, conv(constant, "y = Mul(h, c)"));
  }
}

TEST(FuseAffine, LeavesADivisionOfTheConstantAndByZeroAlone) {
  expect_untouched(kPass, conv("c: float[] = 2", "y = Div(c, h)"));
  expect_untouched(kPass, conv("c: float[] = 0", "y = Div(h, c)"));
}

TEST(FuseAffine, LeavesAConvAloneWhoseOutputHasAnotherReader) {
  expect_untouched(kPass, conv("c: float[] = 2", "y = Mul(h, c)\n z = Relu(h)", "(y, z)"));
}

}  // namespace
}  // namespace espalier
