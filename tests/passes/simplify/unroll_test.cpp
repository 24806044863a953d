#include <algorithm>

#include "lib/analysis/reference.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

TEST(Unroll, CopiesTheBodyOncePerIteration) {
  expect_pass("unroll, simplify", R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      two: int64[] = {2}
      w: float[3,3] = fill(1)
      y = Loop(two, _, x) {body = graph (i: int64[], k: bool[], s: float[2,3]) -> (k, t) { t = MatMul(s, w) }}
    })", R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      w: float[3,3] = fill(1)
      t_1 = MatMul(x, w)
      y = MatMul(t_1, w)
    })");
}

TEST(Unroll, StacksWhatTheBodyMakesAndCountsItsIterations) {
  const Ran ran = run_pass("unroll", R"(graph g (x: float[3]) -> (y: float[3], z: float[4,3]) {
      four: int64[] = {4}
      yes: bool[] = {1}
      y, z = Loop(four, yes, x) {body = graph (i: int64[], k: bool[], s: float[3]) -> (go, t, u) {
        one: float[] = {1}
        go = Identity(k)
        f = Cast(i) {to = 1}
        t = Add(s, one)
        u = Mul(t, f)
      }}
    })");
  EXPECT_EQ(ran.count("unrolled"), 1);
  for (const NodeId id : ran.graph.nodes()) EXPECT_NE(ran.graph.node(id).op_type, "Loop");
}

/// As TensorFlow writes a while loop: the condition compares a counter that the body carries.
TEST(Unroll, FollowsACounter) {
  const Ran ran = run_pass("unroll", R"(graph g (x: float[3]) -> (y: float[3], z: float[4,3]) {
      many: int64[] = {60}
      yes: bool[] = {1}
      zero: int32[] = {0}
      n, y, z = Loop(many, yes, zero, x) {body = graph (i: int64[], k: bool[], c: int32[], s: float[3]) -> (go, d, t, u) {
        one: int32[] = {1}
        four: int32[] = {4}
        d = Add(c, one)
        go = Less(d, four)
        t = Tanh(s)
        u = Neg(t)
      }}
    })");
  EXPECT_EQ(ran.count("unrolled"), 1);
  EXPECT_EQ(std::count_if(ran.graph.nodes().begin(), ran.graph.nodes().end(), [&](NodeId id) { return ran.graph.node(id).op_type == "Tanh"; }), 4);
}

TEST(Unroll, AWeightOfTheBodyStaysOneWeight) {
  const Ran ran = run_pass("unroll", R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      three: int64[] = {3}
      y = Loop(three, _, x) {body = graph (i: int64[], k: bool[], s: float[2,3]) -> (k, t) { w: float[3,3] = fill(1)  t = MatMul(s, w) }}
    })");
  EXPECT_EQ(trainable_parameters(ran.graph, infer(ran.graph)).size(), 1u);
}

TEST(Unroll, ScansAlongAnyAxisInEitherDirection) {
  const Ran ran = run_pass("unroll", R"(graph g (h: float[2], x: float[2,5]) -> (y: float[2], z: float[2,5]) {
      y, z = Scan(h, x) {num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [1],
                         scan_output_directions = [1], body = graph (s: float[2], e: float[2]) -> (t, u) { t = Add(s, e)  u = Tanh(t) }}
    })");
  EXPECT_EQ(ran.count("unrolled"), 1);
}

TEST(Unroll, BodiesInsideTheBodyReadTheirOwnIteration) {
  const Ran ran = run_pass("unroll", R"(graph g (c: bool[], x: float[2]) -> (y: float[2]) {
      two: int64[] = {2}
      y = Loop(two, _, x) {body = graph (i: int64[], k: bool[], s: float[2]) -> (k, t) {
        h = Neg(s)
        t = If(c) {then_branch = graph () -> (a) { a = Exp(h) }, else_branch = graph () -> (b) { b = Mul(s, h) }}
      }}
    })");
  EXPECT_EQ(ran.count("unrolled"), 1);
}

TEST(Unroll, LeavesWhatDependsOnDataOrIsTooLong) {
  expect_untouched("unroll", R"(graph g (n: int64[], x: float[2]) -> (y: float[2]) {
      y = Loop(n, _, x) {body = graph (i: int64[], k: bool[], s: float[2]) -> (k, t) { t = Neg(s) }}
    })");
  expect_untouched("unroll", R"(graph g (x: float[2]) -> (y: float[2]) {
      n: int64[] = {3}
      l: float[] = {9}
      y = Loop(n, _, x) {body = graph (i: int64[], k: bool[], s: float[2]) -> (go, t) { t = Add(s, s)  m = ReduceSum(t) {keepdims = 0}  go = Less(m, l) }}
    })");
  expect_untouched("unroll{most=2}", R"(graph g (x: float[2]) -> (y: float[2]) {
      n: int64[] = {3}
      y = Loop(n, _, x) {body = graph (i: int64[], k: bool[], s: float[2]) -> (k, t) { t = Neg(s) }}
    })");
}

TEST(Unroll, LetsGradientsPass) {
  const Ran ran = run_pass("unroll, simplify", R"(graph g (x: float[2,3]) -> (y: float[2,3]) {
      two: int64[] = {2}
      w: float[3,3] = fill(1)
      y = Loop(two, _, x) {body = graph (i: int64[], k: bool[], s: float[2,3]) -> (k, t) { a = MatMul(s, w)  t = Tanh(a) }}
    })");
  Graph graph = ran.graph;
  LossTerm distance;
  distance.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(graph, graph.outputs[0], {.terms = {distance}}).loss;
  const auto parameters = trainable_parameters(graph, infer(graph));
  EXPECT_EQ(differentiate(graph, loss, parameters).gradients.size(), 1u);
}

}  // namespace
}  // namespace espalier
