#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "lift-constants";

TEST(LiftConstants, MakesAnInitialiserOfTheSameName) {
  expect_pass(kPass, R"(graph g (x: float[2]) -> (y: float[2]) {
      w = Constant() {value = float[2] {1, 2}}
      y = Mul(x, w)
    })", R"(graph g (x: float[2]) -> (y: float[2]) {
      w: float[2] = {1, 2}
      y = Mul(x, w)
    })");
}

TEST(LiftConstants, ReadsScalarsAndLists) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[2]) -> (y: float[2], s: int64[2]) {
      a = Constant() {value_float = 2.0}
      b = Constant() {value_ints = [2, 1]}
      c = Constant() {value_floats = [1.0, 3.0]}
      h = Mul(x, a)
      y = Mul(h, c)
      s = Identity(b)
    })");
  EXPECT_EQ(ran.count("lifted"), 3);
  EXPECT_EQ(*ran.graph.constant(ran.graph.find_value("b")), Tensor::of<int64_t>({2}, {2, 1}));
}

TEST(LiftConstants, LeavesAConstantThatIsAGraphOutput) {
  expect_untouched(kPass, "graph g (x: float[2]) -> (w: float[2]) { w = Constant() {value = float[2] {1, 2}} }");
}

}  // namespace
}  // namespace espalier
