#include "lib/analysis/unit_groups.h"
#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

TEST(InlineIf, PutsTheBranchThatIsTakenInItsPlace) {
  expect_pass("inline-if, remove-dead-code", R"(graph g (x: float[2]) -> (y: float[2]) {
      c: bool[] = {1}
      h = Neg(x)
      "choose": y = If(c) {then_branch = graph () -> (t) { w: float[2] = {1, 2}  "act": t = Mul(h, w) },
                           else_branch = graph () -> (e) { e = Abs(h) }}
    })", R"(graph g (x: float[2]) -> (y: float[2]) {
      w: float[2] = {1, 2}
      h = Neg(x)
      "act": y = Mul(h, w)
    })");
}

TEST(InlineIf, KnowsAConditionFromShapes) {
  const Ran ran = run_pass("simplify", R"(graph g (x: float[n,3]) -> (y: float[n,3]) {
      three: int64[] = {3}
      one: int64[] = {1}
      s = Shape(x)
      k = Gather(s, one)
      c = Equal(k, three)
      y = If(c) {then_branch = graph () -> (t) { t = Exp(x) }, else_branch = graph () -> (e) { e = Abs(x) }}
    })");
  ASSERT_EQ(ran.graph.nodes().size(), 1u) << print_graph(ran.graph);
  EXPECT_EQ(ran.graph.node(ran.graph.nodes()[0]).op_type, "Exp");
}

TEST(InlineIf, LeavesAConditionThatIsNotKnown) {
  expect_untouched("inline-if", R"(graph g (c: bool[], x: float[2]) -> (y: float[2]) {
      y = If(c) {then_branch = graph () -> (t) { t = Neg(x) }, else_branch = graph () -> (e) { e = Abs(x) }}
    })");
}

TEST(InlineIf, PassesOnWhatTheBranchOnlyHandsThrough) {
  const Ran ran = run_pass("inline-if", R"(graph g (x: float[2]) -> (y: float[2], z: float[2]) {
      c: bool[] = {0}
      y, z = If(c) {then_branch = graph () -> (t, u) { t = Neg(x)  u = Abs(x) }, else_branch = graph () -> (e, e) { e = Exp(x) }}
    })");
  EXPECT_EQ(ran.report.verification.state, Verification::State::passed);
  EXPECT_EQ(ran.graph.nodes().size(), 2u) << print_graph(ran.graph);
}

TEST(InlineIf, RenamesWhatWouldStandTwice) {
  const Ran ran = run_pass("inline-if", R"(graph g (d: bool[], x: float[2]) -> (a: float[2], b: float[2], z: float[2]) {
      yes: bool[] = {1}
      a = If(yes) {then_branch = graph () -> (t) { h = Neg(x)  t = Exp(h) }, else_branch = graph () -> (e) { e = Abs(x) }}
      b = If(yes) {then_branch = graph () -> (t) { h = Exp(x)
                     t = If(d) {then_branch = graph () -> (tt) { tt = Neg(h) }, else_branch = graph () -> (te) { te = Abs(h) }} },
                   else_branch = graph () -> (e) { e = Abs(x) }}
      z = If(d) {then_branch = graph () -> (t) { h = Sqrt(x)  t = Exp(h) }, else_branch = graph () -> (e) { e = Abs(x) }}
    })");
  EXPECT_EQ(ran.count("inlined"), 2);
  EXPECT_EQ(ran.report.verification.state, Verification::State::passed) << print_graph(ran.graph);
  parse_graph(print_graph(ran.graph));  // no body shadows a name around it
}

TEST(InlineIf, InlinesInBodies) {
  const Ran ran = run_pass("inline-if", R"(graph g (d: bool[], x: float[2]) -> (y: float[2]) {
      y = If(d) {
        then_branch = graph () -> (t) {
          yes: bool[] = {1}
          t = If(yes) {then_branch = graph () -> (tt) { tt = Neg(x) }, else_branch = graph () -> (te) { te = Abs(x) }}
        },
        else_branch = graph () -> (e) { e = Exp(x) }}
    })");
  EXPECT_EQ(ran.count("inlined"), 1);
}

TEST(InlineIf, UnfreezesWhatTheBranchRead) {
  const char* const text = R"(graph g (x: float[1,4]) -> (y: float[1,3]) {
      w: float[4,8] = fill(1)
      v: float[8,3] = fill(2)
      yes: bool[] = {1}
      h = MatMul(x, w)
      y = If(yes) {then_branch = graph () -> (t) { t = MatMul(h, v) }, else_branch = graph () -> (e) { e = MatMul(h, v) }}
    })";
  const auto free_units = [](const Graph& graph) {
    const UnitTable table = assign_units(graph);
    size_t free = 0;
    for (const UnitGroup& group : unit_groups(table)) free += group.free.size();
    return free;
  };
  EXPECT_EQ(free_units(parse_graph(text)), 0u);
  EXPECT_EQ(free_units(run_pass("inline-if", text).graph), 8u);
}

TEST(Simplify, DoesNotBelieveTheSizesThatABodyDeclares) {
  // The state grows: a shape taken from what the file declares would be wrong from the second trip on.
  const Ran ran = run_pass("simplify", R"(graph g (x: float[2]) -> (y) {
      m: int64[] = {3}
      y, n = Loop(m, _, x) {body = graph (i: int64[], k: bool[], h: float[2]) -> (k, h2, s) { h2 = Concat(h, h) {axis = 0}  s = Shape(h) }}
    })");
  const auto& node = ran.graph.node(ran.graph.nodes().back());
  ASSERT_EQ(node.op_type, "Loop");
  const Body body = node.require<Body>("body");
  EXPECT_EQ(body->initializers().size(), 0u) << print_graph(ran.graph);
}

}  // namespace
}  // namespace espalier
