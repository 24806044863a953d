// Units inside If, Loop and Scan bodies, and of what bodies read from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/reference.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

int64_t free_units(const UnitTable& table) {
  int64_t free = 0;
  for (const UnitGroup& group : unit_groups(table)) free += static_cast<int64_t>(group.free.size());
  return free;
}

const Graph& body_of(const Graph& graph, const std::string& attribute) {
  for (const NodeId id : graph.nodes()) {
    if (graph.node(id).has(attribute)) return *graph.node(id).require<Body>(attribute);
  }
  throw std::runtime_error("no body " + attribute);
}

/// Random cuts, each certified with these conditions.
Chosen expect_cuts(const Graph& graph, int64_t free, const std::vector<bool>& conditions = {true}) {
  std::optional<Chosen> last;
  for (const uint64_t seed : {3, 5, 7}) {
    UnitTable table = assign_units(graph);
    EXPECT_EQ(free_units(table), free) << ::testing::PrintToString(frozen_reasons(table, unit_groups(table)));
    Chosen chosen = choose_units(table, {keep_share(0.5), {}, seed});
    verify(chosen.cut.graph);
    EXPECT_NO_THROW(parse_graph(print_graph(chosen.cut.graph))) << print_graph(chosen.cut.graph);
    double moved = 0;
    for (const bool condition : conditions) {
      auto feeds = random_feeds(table, seed);
      if (feeds.contains("c")) feeds["c"] = Tensor::scalar(condition ? 1.0 : 0.0).cast(DataType::boolean);
      const Certificate found = certify(table, chosen.keep, chosen.cut, feeds);
      EXPECT_LT(found.error, 1e-9) << condition << print_graph(chosen.cut.graph);
      moved = std::max(moved, found.moved);
      const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds);
      EXPECT_FALSE(bad) << bad->value << " " << bad->error;
    }
    EXPECT_EQ(moved > 0, free > 0);
    last = std::move(chosen);
  }
  return std::move(*last);
}

TEST(BodyUnits, BranchesJoinWithWhatReadsThem) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[1,3,4,4]) -> (y: float[1,2,4,4]) opset 13 {
    w: float[8,3,1,1] = fill(1)
    v: float[2,6,1,1] = fill(2)
    h = Conv(x, w)
    "choose": r = If(c) {
      then_branch = graph () -> (t) { a: float[6,8,1,1] = fill(3)  "conv": t = Conv(h, a) },
      else_branch = graph () -> (e) { a: float[5,8,1,1] = fill(4)  b: float[6,5,1,1] = fill(5)  "conv": m = Conv(h, a)  n = Relu(m)  e = Conv(n, b) }}
    s = Relu(r)
    y = Conv(s, v)
  })");
  const Chosen chosen = expect_cuts(graph, 8 + 6 + 5, {true, false});
  const Graph &then_branch = body_of(chosen.cut.graph, "then_branch"), &else_branch = body_of(chosen.cut.graph, "else_branch");
  EXPECT_EQ(then_branch.initializer(then_branch.find_value("a"))->dims(), (Dims{3, 4, 1, 1}));
  EXPECT_EQ(else_branch.initializer(else_branch.find_value("b"))->dims(), (Dims{3, 3, 1, 1}));
}

TEST(BodyUnits, AConstantBranchFollowsTheOther) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[2,3]) -> (y: float[2,4]) opset 13 {
    w: float[3,6] = fill(1)
    v: float[6,4] = fill(2)
    h = MatMul(x, w)
    r = If(c) {then_branch = graph () -> (t) { t = Sigmoid(h) }, else_branch = graph () -> (e) { e: float[2,6] = fill(3) }}
    y = MatMul(r, v)
  })");
  expect_cuts(graph, 6, {true, false});
}

TEST(BodyUnits, ABodyInWhichNothingGoesStaysAsItWas) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[2,3]) -> (y: float[2,4]) opset 13 {
    w: float[3,6] = fill(1)
    v: float[6,3] = fill(2)
    k: float[3,4] = fill(4)
    h = MatMul(x, w)
    r = MatMul(h, v)
    y = If(c) {then_branch = graph () -> (t) { t = MatMul(x, k) }, else_branch = graph () -> (e) { e = MatMul(r, k) }}
  })");
  UnitTable table = assign_units(graph);
  EXPECT_EQ(free_units(table), 6 + 3);
  std::vector<bool> keep(static_cast<size_t>(table.units.size()), true);
  keep[0] = false;
  const Chosen chosen = cut_chosen(table, keep);
  EXPECT_EQ(&body_of(chosen.cut.graph, "then_branch"), &body_of(graph, "then_branch"));
  EXPECT_EQ(&body_of(chosen.cut.graph, "else_branch"), &body_of(graph, "else_branch"));
}

TEST(BodyUnits, BranchesInBranches) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[2,3]) -> (y: float[2,4]) opset 13 {
    w: float[3,6] = fill(1)
    v: float[7,4] = fill(2)
    h = MatMul(x, w)
    r = If(c) {
      then_branch = graph () -> (t) {
        p: float[6,7] = fill(3)
        d = Not(c)
        t = If(d) {then_branch = graph () -> (tt) { tt = MatMul(h, p) },
                   else_branch = graph () -> (te) { q: float[6,5] = fill(6)  z: float[5,7] = fill(7)  g1 = MatMul(h, q)  te = MatMul(g1, z) }}
      },
      else_branch = graph () -> (e) { p: float[6,7] = fill(4)  e = MatMul(h, p) }}
    y = MatMul(r, v)
  })");
  expect_cuts(graph, 6 + 7 + 5, {true, false});
}

TEST(BodyUnits, BranchesOfTwoSizesStay) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[2,3]) -> (y: float[2,4]) opset 13 {
    w: float[3,6] = fill(1)
    v: float[6,4] = fill(2)
    p: float[6,6] = fill(3)
    h = MatMul(x, w)
    y = If(c) {then_branch = graph () -> (t) { a = MatMul(h, p)  t = MatMul(a, v) }, else_branch = graph () -> (e) { e: float[2,4] = ones }}
  })");
  expect_cuts(graph, 6 + 6, {true});
}

TEST(BodyUnits, WhatALoopKeepsToItselfMayGo) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y: float[2,3], all: float[4,2,5]) opset 13 {
    m: int64[] = {4}
    go: bool[] = {1}
    w: float[3,6] = fill(1)
    h = MatMul(x, w)
    y, all = Loop(m, go, x) {body = graph (i: int64[], k: bool[], s: float[2,3]) -> (k2: bool[], n: float[2,3], o: float[2,5]) {
      a: float[3,8] = fill(2)
      b: float[8,3] = fill(3)
      p: float[6,3] = fill(4)
      q: float[8,5] = fill(5)
      k2 = Identity(k)
      f = MatMul(s, a)
      r = Relu(f)
      t = MatMul(r, b)
      u = MatMul(h, p)
      n = Add(t, u)
      o = MatMul(r, q)
    }}
  })");
  const Chosen chosen = expect_cuts(graph, 6 + 8);
  EXPECT_EQ(body_of(chosen.cut.graph, "body").initializer(body_of(chosen.cut.graph, "body").find_value("a"))->dims(), (Dims{3, 4}));
  const UnitTable table = assign_units(graph);
  EXPECT_EQ(frozen_reasons(table, unit_groups(table)), (std::map<std::string, int64_t>{{"initial state is fixed (graph input)", 3}, {"graph output", 5}}));
}

/// A cell whose state starts as zeros, and another that starts as what a layer outside makes; both are read behind the loop, and
/// so is what is stacked. The last state is never changed.
TEST(BodyUnits, WhatALoopCarriesMayGoWithItsInitialState) {
  const Graph graph = parse_graph(R"(graph g (x: float[4,2,3]) -> (y: float[2,5]) opset 13 {
    m: int64[] = {4}
    go: bool[] = {1}
    first: int64[] = {0}
    zeros: float[2,6] = zeros
    start: float[3,7] = fill(1)
    head: float[6,5] = fill(2)
    stack: float[6,5] = fill(3)
    other: float[7,5] = fill(4)
    x0 = Gather(x, first) {axis = 0}
    c0 = MatMul(x0, start)
    h, c, s, all = Loop(m, go, zeros, c0, x0) {body = graph (i: int64[], k: bool[], a: float[2,6], b: float[2,7], z: float[2,3]) -> (k, a2: float[2,6], b2: float[2,7], z, o: float[2,6]) {
      w: float[3,6] = fill(5)
      r: float[6,6] = fill(6)
      u: float[6,7] = fill(7)
      e = Gather(x, i) {axis = 0}
      f = MatMul(e, w)
      g = MatMul(a, r)
      d = Add(f, g)
      a2 = Tanh(d)
      t = MatMul(a2, u)
      v = Sigmoid(t)
      b2 = Mul(v, b)
      o = Relu(a2)
    }}
    p = MatMul(h, head)
    q = MatMul(c, other)
    axes: int64[1] = {0}
    n = ReduceSum(all, axes) {keepdims = 0}
    l = MatMul(n, stack)
    pq = Add(p, q)
    y = Add(pq, l)
  })");
  const Chosen chosen = expect_cuts(graph, 6 + 7);
  const Graph& body = body_of(chosen.cut.graph, "body");
  EXPECT_EQ(body.initializer(body.find_value("r"))->dims(), (Dims{3, 3}));
  EXPECT_EQ(chosen.cut.graph.initializer(chosen.cut.graph.find_value("zeros"))->dims(), (Dims{2, 3}));
  EXPECT_EQ(body.value(body.outputs[4]).type.str(), "float[2,3]");
}

TEST(BodyUnits, WhatAScanCarriesMayGoWithItsInitialState) {
  const Graph graph = parse_graph(R"(graph g (x: float[5,2,3]) -> (y: float[2,3]) opset 13 {
    zeros: float[2,4] = fill(9)
    v: float[4,3] = fill(1)
    p: float[4,3] = fill(2)
    last, all = Scan(zeros, x) {num_scan_inputs = 1, scan_output_axes = [1], body = graph (a: float[2,4], e: float[2,3]) -> (n: float[2,4], o: float[2,4]) {
      w: float[3,4] = fill(3)
      r: float[4,4] = fill(4)
      f = MatMul(e, w)
      g = MatMul(a, r)
      s = Add(f, g)
      n = Tanh(s)
      o = Relu(n)
    }}
    h = MatMul(last, v)
    q = ReduceMax(all) {axes = [1], keepdims = 0}
    k = MatMul(q, p)
    y = Add(h, k)
  })");
  expect_cuts(graph, 4);
}

TEST(BodyUnits, WhatAScanKeepsToItselfMayGo) {
  const Graph graph = parse_graph(R"(graph g (x: float[5,2,3], s: float[2,4]) -> (last: float[2,4], all: float[5,2,4]) opset 13 {
    last, all = Scan(s, x) {num_scan_inputs = 1, body = graph (a: float[2,4], e: float[2,3]) -> (n: float[2,4], o: float[2,4]) {
      w: float[3,7] = fill(2)
      v: float[7,4] = fill(3)
      f = MatMul(e, w)
      r = Tanh(f)
      t = MatMul(r, v)
      n = Add(t, a)
      o = Identity(n)
    }}
  })");
  expect_cuts(graph, 7);
}

TEST(BodyUnits, SileroIsPrunableInsideItsIf) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Graph graph = load_model(testing::shared_path("zoo/silero__silero_vad_op18_ifless.onnx")).graph;
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 7});
  auto feeds = random_feeds(table, 7);
  for (const int64_t rate : {16000, 8000}) {
    feeds["sr"] = Tensor::scalar(static_cast<double>(rate)).cast(DataType::int64);
    const Certificate found = certify(table, chosen.keep, chosen.cut, feeds);
    EXPECT_LT(found.error, 1e-9) << rate;
    EXPECT_GT(found.moved, 1e-3) << rate;
  }
}

}  // namespace
}  // namespace espalier
