#include "lib/analysis/surgeon.h"

#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// Units born at a node, by channel.
std::vector<int32_t> born_at(const UnitTable& table, const std::string& node) {
  std::vector<int32_t> ids;
  for (const UnitBirth& birth : table.births) {
    for (int32_t i = 0; node_name(*table.graph, birth.node) == node && i < birth.count; ++i) ids.push_back(birth.first + i);
  }
  return ids;
}

/// The graph without these channels of a node.
Graph without(const Graph& graph, const std::string& node, const std::vector<size_t>& channels) {
  UnitTable table = assign_units(graph);
  std::vector<bool> keep(static_cast<size_t>(table.units.size()), true);
  const auto ids = born_at(table, node);
  for (const size_t c : channels) keep[static_cast<size_t>(table.units.find(ids[c]))] = false;
  return cut_chosen(table, keep).cut.graph;
}

TEST(Surgeon, TakesRowsHereAndColumnsThere) {
  const Graph before = parse_graph(R"(graph g (x: float[1,2]) -> (y: float[1,1]) opset 13 {
    w: float[3,2] = {1, 2, 3, 4, 5, 6}
    b: float[3] = {7, 8, 9}
    v: float[1,3] = {10, 11, 12}
    "first": h = Gemm(x, w, b) {transB = 1}
    r = Relu(h)
    "second": y = Gemm(r, v) {transB = 1}
  })");
  const Graph after = parse_graph(R"(graph g (x: float[1,2]) -> (y: float[1,1]) opset 13 {
    w: float[2,2] = {1, 2, 5, 6}
    b: float[2] = {7, 9}
    v: float[1,2] = {10, 12}
    "first": h = Gemm(x, w, b) {transB = 1}
    r = Relu(h)
    "second": y = Gemm(r, v) {transB = 1}
  })");
  const Graph cut = without(before, "first", {1});
  EXPECT_EQ(cut.nodes().size(), 3u);
  for (const char* name : {"w", "b", "v"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(*cut.initializer(cut.find_value(name)), *after.initializer(after.find_value(name)));
  }
}

TEST(Surgeon, GroupFollowsTheChannelsOfADepthwiseConv) {
  const Graph before = parse_graph(R"(graph g (x: float[1,1,4,4]) -> (y) opset 13 {
    w: float[4,1,1,1] = {1, 2, 3, 4}
    d: float[4,1,3,3] = fill(1)
    p: float[2,4,1,1] = fill(2)
    "expand": h = Conv(x, w)
    "depthwise": e = Conv(h, d) {group = 4, pads = [1,1,1,1]}
    y = Conv(e, p)
  })");
  const Graph cut = without(before, "expand", {0, 3});
  const Node& depthwise = cut.node(cut.producer(cut.find_value("e")));
  EXPECT_EQ(depthwise.get<int64_t>("group", 1), 2);
  EXPECT_EQ(cut.initializer(cut.find_value("d"))->dims(), (Dims{2, 1, 3, 3}));
  EXPECT_EQ(*cut.initializer(cut.find_value("w")), parse_tensor("float[2,1,1,1] {2, 3}"));
}

TEST(Surgeon, KeepsADynamicBatchDynamic) {
  const Graph before = parse_graph(R"(graph g (x: float[batch,1,2,2]) -> (y) opset 13 {
    w: float[4,1,1,1] = fill(1)
    v: float[16,3] = fill(2)
    zero: int64[1] = {0}
    rest: int64[1] = {16}
    "conv": h = Conv(x, w)
    s = Shape(h)
    n = Gather(s, zero)
    shape = Concat(n, rest) {axis = 0}
    f = Reshape(h, shape)
    y = MatMul(f, v)
  })");
  const Graph cut = without(before, "conv", {2});
  const FactTable facts = infer(cut);
  EXPECT_EQ(facts.type(cut.find_value("f")).str(), "float[batch,12]");
  EXPECT_EQ(cut.producer(cut.find_value("s")), kNone) << "the shape arithmetic is no longer needed";
}

TEST(Surgeon, KeepsZeroAndMinusOneOfAReshape) {
  const Graph before = parse_graph(R"(graph g (x: float[batch,1,2,2]) -> (y) opset 13 {
    w: float[4,1,1,1] = fill(1)
    v: float[16,3] = fill(2)
    shape: int64[2] = {0, -1}
    "conv": h = Conv(x, w)
    f = Reshape(h, shape)
    y = MatMul(f, v)
  })");
  const Graph cut = without(before, "conv", {0});
  EXPECT_EQ(*cut.initializer(cut.find_value("shape")), parse_tensor("int64[2] {0, -1}"));
}

TEST(Surgeon, PinsASizeThatReachesData) {
  const Graph before = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,2] = fill(2)
    one: int64[] = 1
    "first": h = MatMul(x, w)
    s = Shape(h)
    n = Gather(s, one)
    f = Cast(n) {to = 1}
    d = Div(h, f)
    y = MatMul(d, v)
  })");
  UnitTable table = assign_units(before);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  const Certificate c = certify(table, chosen.keep, chosen.cut, random_feeds(table, 1));
  EXPECT_LT(c.error, 1e-12);
  EXPECT_FALSE(c.vacuous);
}

TEST(Surgeon, MultipliesAMeanByTheShareThatIsLeft) {
  const Graph before = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    "first": h = MatMul(x, w)
    y = ReduceMean(h) {axes = [1], keepdims = 0}
  })");
  const Graph cut = without(before, "first", {1});
  const Node& made = cut.node(cut.producer(cut.find_value("y")));
  EXPECT_EQ(made.op_type, "Mul");
  EXPECT_EQ(*cut.initializer(made.inputs[1]), Tensor::scalar(0.75f));
}

TEST(Surgeon, SharedWeightsAreCutPerUse) {
  const Graph before = parse_graph(R"(graph g (x: float[2,4]) -> (y) opset 13 {
    w: float[4,4] = fill(1)
    v: float[4,2] = fill(2)
    "first": a = MatMul(x, w)
    "second": b = MatMul(a, w)
    y = MatMul(b, v)
  })");
  const Graph cut = without(before, "first", {0});
  EXPECT_EQ(infer(cut).type(cut.find_value("a")).str(), "float[2,3]");
  EXPECT_EQ(infer(cut).type(cut.find_value("b")).str(), "float[2,4]");
}

TEST(Surgeon, EqualCutsOfDifferentParametersStayApart) {
  const Graph before = parse_graph(R"(graph g (x: float[1,3,4,4]) -> (y) opset 13 {
    w: float[4,3,1,1] = fill(1)
    v: float[4,4,1,1] = fill(2)
    u: float[2,4,1,1] = fill(3)
    b: float[4] = zeros
    c: float[4] = zeros
    "first": h = Conv(x, w, b)
    "second": g = Conv(h, v, c)
    y = Conv(g, u)
  })");
  UnitTable table = assign_units(before);
  const Graph cut = choose_units(table, {keep_share(0.5), {}, 1}).cut.graph;
  const ValueId b = cut.find_value("b"), c = cut.find_value("c");
  ASSERT_TRUE(cut.initializer(b) && cut.initializer(c));
  EXPECT_EQ(cut.users(b).size(), 1u);
  EXPECT_EQ(cut.users(c).size(), 1u);
}

TEST(Surgeon, NothingRemovedChangesNothing) {
  const Graph before = parse_graph(R"(graph g (x: float[1,2]) -> (y) opset 13 {
    w: float[2,3] = fill(1)
    v: float[3,1] = fill(2)
    h = MatMul(x, w)
    y = MatMul(h, v)
  })");
  UnitTable table = assign_units(before);
  EXPECT_TRUE(same_graph(cut_chosen(table, std::vector<bool>(static_cast<size_t>(table.units.size()), true)).cut.graph, before));
}

TEST(Surgeon, RefusesToRemoveAFrozenUnitOrAWholeAxis) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,2]) -> (y) opset 13 {
    w: float[2,3] = fill(1)
    v: float[3,2] = fill(2)
    "first": h = MatMul(x, w)
    "last": y = MatMul(h, v)
  })");
  EXPECT_THROW(without(graph, "last", {0}), Error);
  EXPECT_THROW(without(graph, "first", {0, 1, 2}), Error);
}

TEST(Units, AnUnknownOpFreezesAndSaysSo) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,2]) -> (y) opset 13, my.domain 1 {
    w: float[2,3] = fill(1)
    h = MatMul(x, w)
    y = my.domain::Strange(h)
  })");
  const UnitTable table = assign_units(graph);
  const auto groups = unit_groups(table);
  EXPECT_EQ(frozen_reasons(table, groups), (std::map<std::string, int64_t>{{"my.domain.Strange is an operator that is not known here", 3}}));
}

TEST(Units, AnActivationFixedOnOneSideFreezesTheOther) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,3]) -> (y) opset 13 {
    w: float[3,3] = fill(1)
    v: float[3,1] = fill(2)
    h = MatMul(x, w)
    s = Add(h, x)
    y = MatMul(s, v)
  })");
  const UnitTable table = assign_units(graph);
  EXPECT_EQ(frozen_reasons(table, unit_groups(table)).begin()->first, "Add joins it with a fixed axis");
}

TEST(Surgeon, PicksOneChannelThatStays) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y, z) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,1] = fill(2)
    one: int64[] = {1}
    low: int64[1] = {2}
    high: int64[1] = {3}
    axis: int64[1] = {1}
    h = MatMul(x, w)
    g = Gather(h, one) {axis = 1}
    s = Slice(h, low, high, axis)
    m = MatMul(h, v)
    y = Add(m, g)
    z = Exp(s)
  })");
  UnitTable table = assign_units(graph);
  EXPECT_EQ(unit_groups(table).at(0).free.size(), 2u);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  const auto feeds = random_feeds(table, 1);
  EXPECT_LT(certify(table, chosen.keep, chosen.cut, feeds).error, 1e-12);
  EXPECT_FALSE(first_difference(table, chosen.keep, chosen.cut, feeds));
}

TEST(Surgeon, AnOutputCalculatedFromSizesKeepsItsValue) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y, size) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,1] = fill(2)
    h = MatMul(x, w)
    sizes = Shape(h)
    size = ConstantOfShape(sizes)
    y = MatMul(h, v)
  })");
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  EXPECT_EQ(infer(chosen.cut.graph).type(chosen.cut.graph.outputs[1]).str(), "float[2,4]");
}

TEST(Certificate, SeesAWeightThatWasGatheredInTheWrongOrder) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,2] = fill(2)
    "first": h = MatMul(x, w)
    y = MatMul(h, v)
  })");
  UnitTable table = assign_units(graph);
  Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  const auto feeds = random_feeds(table, 1);
  EXPECT_LT(certify(table, chosen.keep, chosen.cut, feeds).error, 1e-12);
  Graph& cut = chosen.cut.graph;
  const ValueId v = cut.find_value("v");
  Tensor swapped = *cut.initializer(v);
  auto rows = swapped.mutable_data<float>();
  std::swap(rows[0], rows[2]);
  cut.set_initializer(v, swapped);
  EXPECT_GT(certify(table, chosen.keep, chosen.cut, feeds).error, 1e-3);
  EXPECT_TRUE(first_difference(table, chosen.keep, chosen.cut, feeds));
}

TEST(Certificate, SeesASinkThatWasForgotten) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,2] = fill(2)
    h = MatMul(x, w)
    y = MatMul(h, v)
  })");
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  UnitTable broken = table;
  broken.sinks.clear();
  EXPECT_GT(certify(broken, chosen.keep, chosen.cut, random_feeds(table, 1)).error, 1e-3);
}

TEST(Certificate, CallsItselfVacuousWhereNothingMoves) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    v: float[4,2] = zeros
    h = MatMul(x, w)
    y = MatMul(h, v)
  })");
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  EXPECT_TRUE(certify(table, chosen.keep, chosen.cut, random_feeds(table, 1)).vacuous);
}

}  // namespace
}  // namespace espalier
