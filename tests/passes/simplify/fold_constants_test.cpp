#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

TEST(FoldConstants, CalculatesNodesOnConstants) {
  expect_pass("fold-constants, remove-dead-code", R"(graph g (x: float[1,2]) -> (y: float[1,3]) {
      w: float[3,2] = {1, 2, 3, 4, 5, 6}
      n = Neg(w)
      t = Transpose(n) {perm = [1,0]}
      y = MatMul(x, t)
    })", R"(graph g (x: float[1,2]) -> (y: float[1,3]) {
      t: float[2,3] = {-1, -3, -5, -2, -4, -6}
      y = MatMul(x, t)
    })");
}

TEST(FoldConstants, CalculatesShapesThatAreKnown) {
  const Ran ran = run_pass("fold-constants, remove-dead-code", R"(graph g (x: float[2,3,4]) -> (y: float[6,4]) {
      s = Shape(x)
      i: int64[1] = {2}
      last = Gather(s, i)
      minus: int64[1] = {-1}
      shape = Concat(minus, last) {axis = 0}
      y = Reshape(x, shape)
    })");
  EXPECT_EQ(ran.graph.nodes().size(), 1u) << print_graph(ran.graph);
}

TEST(FoldConstants, LeavesAnOpenSizeOpen) {
  expect_untouched("fold-constants", "graph g (x: float[n,3]) -> (s: int64[2]) { h = Shape(x)  s = Abs(h) }");
}

TEST(FoldConstants, KeepsAGraphOutputANode) {
  expect_untouched("fold-constants", "graph g (x: float[2]) -> (y: float[2]) { w: float[2] = {1, 2}  y = Neg(w) }");
}

TEST(FoldConstants, DoesNotEnlargeTheFileBeyondTheBudget) {
  const char* text = R"(graph g (x: float[1,1000]) -> (y: float[1,1000]) {
      shape: int64[2] = {1, 1000}
      ones = ConstantOfShape(shape) {value = float[1] {1}}
      y = Mul(x, ones)
    })";
  Model model;
  model.graph = parse_graph(text);
  const auto report = Pipeline::parse("fold-constants{growth=100}").run(model, {}).back();
  EXPECT_FALSE(report.changed);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("would add 3984 bytes"), std::string::npos) << report.notes[0];
  EXPECT_EQ(run_pass("fold-constants", text).count("folded"), 1);
}

TEST(FoldConstants, LeavesAWeightCompact) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[1,2]) -> (y: float[1,2]) {
      q: int8[2,2] = {1, 2, 3, 4}
      s: float[] = 0.5
      d = DequantizeLinear(q, s)
      t = Transpose(d) {perm = [1,0]}
      y = MatMul(x, t)
    })");
  EXPECT_FALSE(Pipeline::parse("fold-constants").run(model, {}).back().changed) << print_graph(model.graph);
}

TEST(FoldConstants, EntersBodies) {
  Model model;
  model.graph = parse_graph(R"(graph g (c: bool[], x: float[2]) -> (z: float[2]) {
      z = If(c) {then_branch = graph () -> (t) { w: float[2] = {1, 2}  n = Neg(w)  t = Mul(x, n) },
                 else_branch = graph () -> (e) { e = Abs(x) }}
    })");
  EXPECT_EQ(Pipeline::parse("fold-constants").run(model, {}).back().counters.at("folded"), 1) << print_graph(model.graph);
}

}  // namespace
}  // namespace espalier
