#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "remove-identities";

// One node between x and a Neg; expects that it is taken out.
void expect_removed(const std::string& type, const std::string& constants, const std::string& node) {
  SCOPED_TRACE(node);
  const Ran ran = run_pass(kPass, "graph g (x: " + type + ") -> (y) {\n" + constants + "\n" + node + "\ny = Neg(h)\n}");
  EXPECT_EQ(ran.graph.nodes().size(), 1u) << print_graph(ran.graph);
}

void expect_kept(const std::string& type, const std::string& constants, const std::string& node) {
  SCOPED_TRACE(node);
  expect_untouched(kPass, "graph g (x: " + type + ") -> (y) {\n" + constants + "\n" + node + "\ny = Neg(h)\n}");
}

TEST(RemoveIdentities, TakesOutWhatChangesNothing) {
  expect_removed("float[2,3]", "", "h = Identity(x)");
  expect_removed("float[2,3]", "", "h = Dropout(x)");
  expect_removed("float[2,3]", "", "h = Cast(x) {to = 1}");
  expect_removed("float[2,3]", "s: int64[2] = {2, 3}", "h = Reshape(x, s)");
  expect_removed("float[2,3]", "s: int64[2] = {0, -1}", "h = Reshape(x, s)");
  expect_removed("float[n,3]", "s: int64[2] = {0, 3}", "h = Reshape(x, s)");
  expect_removed("float[2,3]", "", "h = Flatten(x) {axis = 1}");
  expect_removed("float[2,3]", "", "h = Transpose(x) {perm = [0, 1]}");
  expect_removed("float[2,3]", "p: int64[4] = {0, 0, 0, 0}", "h = Pad(x, p)");
  expect_removed("float[2,3]", "a: int64[2] = {0, 0}\n b: int64[2] = {9, 9}", "h = Slice(x, a, b)");
  expect_removed("float[2,3]", "", "h = Concat(x) {axis = 0}");
  expect_removed("float[2,3]", "", "h = Sum(x)");
  expect_removed("float[2,3]", "w: float[] = 1", "h = Mul(w, x)");
  expect_removed("float[2,3]", "w: float[3] = {0, 0, 0}", "h = Add(x, w)");
  expect_removed("float[2,3]", "w: float[] = 1", "h = Div(x, w)");
  expect_removed("float[2,3]", "w: float[] = 1", "h = Pow(x, w)");
  expect_removed("float[2,1]", "a: int64[1] = {1}", "h = ReduceSum(x, a)");
}

TEST(RemoveIdentities, KeepsWhatChangesSomething) {
  expect_kept("float[2,3]", "", "h = Cast(x) {to = 11}");
  expect_kept("float[2,3]", "s: int64[2] = {3, 2}", "h = Reshape(x, s)");
  expect_kept("float[2,3]", "", "h = Flatten(x) {axis = 0}");
  expect_kept("float[2,2]", "", "h = Transpose(x)");
  expect_kept("float[2,3]", "p: int64[4] = {0, 1, 0, 0}", "h = Pad(x, p)");
  expect_kept("float[2,3]", "a: int64[1] = {-1}\n b: int64[1] = {-9}\n c: int64[1] = {1}\n d: int64[1] = {-1}", "h = Slice(x, a, b, c, d)");
  expect_kept("float[2,3]", "", "h = Concat(x, x) {axis = 0}");
  expect_kept("float[2,1]", "w: float[3] = {1, 1, 1}", "h = Mul(x, w)");
  expect_kept("float[3]", "w: float[3] = {1, 1, 2}", "h = Mul(x, w)");
  expect_kept("float[2,3]", "w: float[] = 1", "h = Div(w, x)");
  expect_kept("float[2,3]", "w: float[] = 0", "h = Sub(w, x)");
  expect_kept("float[2,3]", "a: int64[1] = {1}", "h = ReduceSum(x, a)");
}

TEST(RemoveIdentities, KeepsTheNamesOfOutputs) {
  expect_pass(kPass, "graph g (x: float[2]) -> (y: float[2]) { h = Neg(x)  y = Identity(h) }",
              "graph g (x: float[2]) -> (y: float[2]) { y = Neg(x) }");
  expect_untouched(kPass, "graph g (x: float[2]) -> (y: float[2]) { y = Identity(x) }");
  expect_untouched(kPass, "graph g (x: float[2]) -> (h: float[2], y: float[2]) { h = Neg(x)  y = Identity(h) }");
}

TEST(RemoveIdentities, KeepsADropoutWhoseMaskIsRead) {
  Model model;
  model.graph = parse_graph("graph g (x: float[2]) -> (y: float[2], m: bool[2]) { h, m = Dropout(x)  y = Neg(h) }");
  EXPECT_FALSE(Pipeline::parse(kPass).run(model, {}).back().changed);
}

}  // namespace
}  // namespace espalier
