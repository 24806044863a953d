#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "merge-reshapes, remove-dead-code";

TEST(MergeReshapes, MakesAChainOneReshape) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[n,8,1,1]) -> (y: float[n,4,2]) {
      axes: int64[2] = {2, 3}
      s = Squeeze(x, axes)
      f = Flatten(s)
      shape: int64[3] = {0, 4, 2}
      y = Reshape(f, shape)
    })");
  ASSERT_EQ(ran.graph.nodes().size(), 1u) << print_graph(ran.graph);
  const Node& node = ran.graph.node(ran.graph.nodes()[0]);
  EXPECT_EQ(node.op_type, "Reshape");
  EXPECT_EQ(*ran.graph.constant(node.inputs[1]), Tensor::of<int64_t>({3}, {0, 4, 2}));
}

TEST(MergeReshapes, GivesAComputedShapeAConstant) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[n,4,2]) -> (y) {
      s = Shape(x)
      i: int64[1] = {0}
      batch = Gather(s, i)
      rest: int64[1] = {8}
      shape = Concat(batch, rest) {axis = 0}
      y = Reshape(x, shape)
    })");
  ASSERT_EQ(ran.graph.nodes().size(), 1u) << print_graph(ran.graph);
  EXPECT_EQ(*ran.graph.constant(ran.graph.node(ran.graph.nodes()[0]).inputs[1]), Tensor::of<int64_t>({2}, {0, 8}));
}

TEST(MergeReshapes, KeepsTheFirstWhereSomethingElseReadsIt) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[2,8,1,1]) -> (y: float[8,2], z: float[2,8]) {
      f = Flatten(x)
      z = Neg(f)
      shape: int64[2] = {8, 2}
      y = Reshape(f, shape)
    })");
  EXPECT_EQ(ran.graph.nodes().size(), 3u) << print_graph(ran.graph);
}

TEST(MergeReshapes, LeavesWhatOneConstantCannotSay) {
  expect_untouched("merge-reshapes", R"(graph g (x: float[n,m,2]) -> (y) {
      s = Shape(x)
      i: int64[2] = {1, 0}
      nm = Gather(s, i)
      rest: int64[1] = {2}
      shape = Concat(nm, rest) {axis = 0}
      y = Reshape(x, shape)
    })");
}

TEST(MergeReshapes, ComposesTransposes) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[2,3,4]) -> (y: float[4,3,2]) {
      a = Transpose(x) {perm = [1, 2, 0]}
      y = Transpose(a) {perm = [1, 0, 2]}
    })");
  ASSERT_EQ(ran.graph.nodes().size(), 1u);
  EXPECT_EQ(ran.graph.node(ran.graph.nodes()[0]).require<std::vector<int64_t>>("perm"), (std::vector<int64_t>{2, 1, 0}));
}

}  // namespace
}  // namespace espalier
