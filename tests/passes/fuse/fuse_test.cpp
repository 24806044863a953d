#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

std::string ops_of(const Graph& graph) {
  std::string ops;
  for (const NodeId id : graph.nodes()) ops += (ops.empty() ? "" : " ") + graph.node(id).op_type;
  return ops;
}

TEST(Fuse, LeavesOneConvOfPadConvNormalisationAndScale) {
  const Ran ran = run_pass("fuse", R"(graph g (x: float[n,1,6,6]) -> (y) {
      pads: int64[8] = {0,0,1,1,0,0,1,1}
      w: float[2,1,3,3] = fill(1)
      scale: float[2] = {1, 2}
      bias: float[2] = {0, 1}
      mean: float[2] = {0.5, 0}
      var: float[2] = {1, 2}
      m: float[1,2,1,1] = {0.5, 2}
      p = Pad(x, pads)
      c = Conv(p, w)
      n = BatchNormalization(c, scale, bias, mean, var)
      s = Mul(n, m)
      y = Relu(s)
    })");
  EXPECT_EQ(ops_of(ran.graph), "Conv Relu");
  EXPECT_EQ(ran.graph.initializers().size(), 2u);
  EXPECT_EQ(ran.report.verification.state, Verification::State::passed);
}

TEST(Fuse, MakesADenseLayerOneGemm) {
  const Ran ran = run_pass("fuse", R"(graph g (x: float[n,3]) -> (y) {
      w: float[3,2] = fill(1)
      c: float[2] = {1, 2}
      scale: float[2] = {1, 2}
      mean: float[2] = {0.5, 0}
      var: float[2] = {1, 2}
      h = MatMul(x, w)
      a = Add(h, c)
      y = BatchNormalization(a, scale, c, mean, var)
    })");
  EXPECT_EQ(ops_of(ran.graph), "Gemm");
}

TEST(Fuse, DropsDeclarationsOfValuesThatAreGone) {
  const Ran ran = run_pass("fuse", R"(graph g (x: float[n,1,3,3]) -> (y) {
      w: float[2,1,3,3] = fill(1)
      c: float[] = 2
      h: float[n,2,1,1]
      h = Conv(x, w)
      y = Mul(h, c)
    })");
  const ValueId h = ran.graph.find_value("h");
  EXPECT_TRUE(h == kNone || !ran.graph.value(h).declared);
}

}  // namespace
}  // namespace espalier
