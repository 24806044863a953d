#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "merge-duplicates";

TEST(MergeDuplicates, ComputesEqualNodesOnce) {
  const Ran ran = expect_pass(kPass, R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      a = Softmax(x) {axis = 1}
      b = Softmax(x) {axis = 1}
      na = Neg(a)
      nb = Neg(b)
      y = Mul(na, nb)
    })", R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      a = Softmax(x) {axis = 1}
      na = Neg(a)
      y = Mul(na, na)
    })");
  EXPECT_EQ(ran.count("merged-nodes"), 2);
}

TEST(MergeDuplicates, TellsAttributesAndInputsApart) {
  expect_untouched(kPass, R"(graph g (x: float[2,3], z: float[2,3]) -> (y: float[2,3]) {
      a = Softmax(x) {axis = 1}
      b = Softmax(x) {axis = 0}
      c = Softmax(z) {axis = 1}
      h = Mul(a, b)
      y = Mul(h, c)
    })");
}

TEST(MergeDuplicates, KeepsANodeThatIsAGraphOutput) {
  expect_untouched(kPass, "graph g (x: float[2]) -> (a: float[2], b: float[2]) { a = Neg(x)  b = Neg(x) }");
}

TEST(MergeDuplicates, TiesShapesButNotWeights) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[2,3]) -> (y: float[3,2], z: float[3,2], v: float[2,3]) {
      s: int64[2] = {3, 2}
      t: int64[2] = {3, 2}
      w1: float[3] = {1, 2, 3}
      w2: float[3] = {1, 2, 3}
      n = Neg(x)
      y = Reshape(x, s)
      z = Reshape(n, t)
      m = Mul(x, w1)
      v = Mul(m, w2)
    })");
  EXPECT_EQ(ran.count("merged-constants"), 1);
  EXPECT_NE(ran.graph.constant(ran.graph.find_value("w2")), nullptr);
}

}  // namespace
}  // namespace espalier
