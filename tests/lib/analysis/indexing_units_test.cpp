// Unit rules of the operators that index and move elements: free units and reasons, and cuts that equal the masked original at
// every value in double.

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/surgeon.h"
#include "lib/graph/text.h"
#include "tests/lib/analysis/unit_models.h"

namespace espalier {
namespace {

using testing::TextModel;

constexpr double kTolerance = 1e-9;

std::string reasons_of(const UnitTable& table, const std::vector<UnitGroup>& groups) {
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [reason, count] : frozen_reasons(table, groups)) sorted.emplace_back(-count, reason);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [count, reason] : sorted) text += (text.empty() ? "" : ", ") + std::to_string(-count) + " " + reason;
  return text;
}

/// "free units|reasons of the others", after cuts at three ratios that must equal the masked original.
std::string pruned(const Graph& graph) {
  const UnitTable table = assign_units(graph);
  const auto groups = unit_groups(table);
  int64_t free = 0;
  for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
  for (const uint64_t seed : {3, 5, 7}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    UnitTable again = assign_units(graph);
    const Chosen chosen = choose_units(again, {keep_share(1 - static_cast<double>(seed) / 10), {}, seed});
    verify(chosen.cut.graph);
    const auto feeds = random_feeds(again, seed);
    const Certificate c = certify(again, chosen.keep, chosen.cut, feeds);
    EXPECT_LT(c.error, kTolerance);
    EXPECT_EQ(c.vacuous, free == 0);
    const auto bad = first_difference(again, chosen.keep, chosen.cut, feeds, kTolerance);
    EXPECT_FALSE(bad) << again.graph->node(bad->node).where() << " " << bad->value << " " << bad->error;
  }
  return std::to_string(free) + "|" + reasons_of(table, groups);
}

/// [2, 6, 12] of a first layer on [2, 6, 10].
std::string first(TextModel& m, int64_t units = 12) { return m.relu(m.linear("x", 10, units)); }

/// Eight units of their own before the output.
std::string head(TextModel& m, const std::string& x, int64_t in) { return m.linear(m.op("Tanh", {m.linear(x, in, 8)}), 8, 5); }

constexpr const char* kSequence = "x: float[2,6,10]";

TEST(IndexingUnits, GatherElementsPassesTheAxesItDoesNotPick) {
  TextModel m(kSequence);
  const std::string i = m.op("Reshape", {m.constant("int64[72] = {" + [] {
    std::string text;
    for (int k = 0; k < 72; ++k) text += (k ? "," : "") + std::to_string(k * 7 % 6);
    return text;
  }() + "}"), m.ints({2, 3, 12})});
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("GatherElements", {first(m), i}, "axis = 1"), 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, GatherElementsFreezesTheAxisItPicksFrom) {
  TextModel m(kSequence);
  const std::string picked = m.op("GatherElements", {first(m, 4), m.constant("int64[2,6,2] = {0,1,2,3,3,3,1,0,0,2,1,1,3,2,1,0,0,1,2,3,2,2,1,0}")}, "axis = -1");
  EXPECT_EQ(pruned(m.graph(head(m, picked, 2))), "8|5 graph output, 4 GatherElements picks from it by index");
}

TEST(IndexingUnits, GatherByIndexFreezesItsAxisAndPassesTheOthers) {
  TextModel m(kSequence);
  const std::string windows = m.op("Gather", {first(m), m.constant("int64[4,3] = {0,1,2,1,2,3,2,3,4,3,4,5}")}, "axis = 1");
  EXPECT_EQ(pruned(m.graph(m.linear(windows, 12, 5))), "12|5 graph output");
  TextModel d(kSequence);
  const std::string best = d.op("ArgMax", {"x"}, "axis = 1, keepdims = 0");
  EXPECT_EQ(pruned(d.graph(d.linear(d.op("Gather", {first(d), best}, "axis = 1"), 12, 5))), "12|5 graph output");
  TextModel f(kSequence);
  const std::string picked = f.op("Gather", {first(f, 4), f.constant("int64[2,2] = {0,1,3,2}")}, "axis = 2");
  EXPECT_EQ(pruned(f.graph(head(f, picked, 2))), "8|5 graph output, 4 Gather picks from it by index");
}

TEST(IndexingUnits, DetAndCenterCropPadPassTheAxesTheyLeaveAlone) {
  TextModel m("x: float[2,9,10]");
  const std::string matrices = m.reshape(m.transpose(m.relu(m.linear("x", 10, 12)), {0, 2, 1}), {2, 12, 3, 3});
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("Det", {matrices}), 12, 5))), "12|5 graph output");
  TextModel c(kSequence, 18);
  const std::string cropped = c.op("CenterCropPad", {first(c), c.ints({4})}, "axes = [1]");
  EXPECT_EQ(pruned(c.graph(c.linear(cropped, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, GatherNDPassesWhatStandsBehindTheTuples) {
  TextModel m(kSequence);
  const std::string i = m.constant("int64[3,2] = {0,5,1,-1,0,2}");
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("GatherND", {first(m), i}), 12, 5))), "12|5 graph output");
  TextModel b(kSequence);
  const std::string batched = b.op("GatherND", {first(b), b.constant("int64[2,4,1] = {0,5,1,-1,0,2,2,3}")}, "batch_dims = 1");
  EXPECT_EQ(pruned(b.graph(b.linear(batched, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, GatherNDFreezesWhatTuplesName) {
  TextModel m("x: float[2,10]");
  const std::string t = m.transpose(m.relu(m.linear("x", 10, 6)), {1, 0});
  const std::string picked = m.op("GatherND", {t, m.constant("int64[3,1] = {0,5,3}")});
  EXPECT_EQ(pruned(m.graph(head(m, m.transpose(picked, {1, 0}), 3))), "8|6 GatherND picks from it by index, 5 graph output");
}

TEST(IndexingUnits, ScatterNDJoinsTheUpdatesWithTheData) {
  TextModel m(kSequence);
  const std::string x = first(m), rows = m.op("GatherND", {m.relu(m.linear("x", 10, 12)), m.constant("int64[3,2] = {0,1,1,2,0,0}")});
  const std::string y = m.op("ScatterND", {x, m.constant("int64[3,2] = {1,0,0,3,1,5}"), rows});
  EXPECT_EQ(pruned(m.graph(m.linear(y, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, ScatterNDTakesConstantsAlong) {
  TextModel m(kSequence);
  const std::string rows = m.op("GatherND", {first(m), m.constant("int64[3,2] = {0,1,1,2,0,0}")});
  const std::string y = m.op("ScatterND", {m.weight({2, 7, 12}), m.constant("int64[3,2] = {1,0,0,3,1,6}"), rows});
  EXPECT_EQ(pruned(m.graph(m.linear(y, 12, 5))), "12|5 graph output");
  TextModel u(kSequence);
  const std::string written = u.op("ScatterND", {first(u), u.constant("int64[3,2] = {1,0,0,3,1,5}"), u.weight({3, 12})});
  EXPECT_EQ(pruned(u.graph(u.linear(written, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, ScatterElementsJoinsAllThree) {
  std::string index;
  for (int k = 0; k < 48; ++k) index += (k ? "," : "") + std::to_string(k * 5 % 6);
  TextModel m(kSequence);
  const std::string x = first(m), u = m.op("Slice", {m.relu(m.linear("x", 10, 12)), m.ints({0}), m.ints({2}), m.ints({1})});
  const std::string y = m.op("ScatterElements", {x, m.constant("int64[2,2,12] = {" + index + "}"), u}, "axis = 1, reduction = \"none\"");
  EXPECT_EQ(pruned(m.graph(m.linear(y, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, ScatterElementsFreezesTheAxisItWritesTo) {
  TextModel m("x: float[2,10]");
  const std::string y = m.op("ScatterElements", {m.relu(m.linear("x", 10, 4)), m.constant("int64[2,2] = {0,3,1,2}"), m.weight({2, 2})}, "axis = 1");
  EXPECT_EQ(pruned(m.graph(head(m, y, 4))), "8|5 graph output, 4 ScatterElements writes to it by index");
}

TEST(IndexingUnits, TileRepeatsUnits) {
  TextModel m(kSequence);
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("Tile", {first(m), m.ints({1, 2, 3})}), 36, 5))), "12|5 graph output");
  TextModel s("x: float[2,1,10]");
  const std::string whole = s.op("Tile", {s.relu(s.linear("x", 10, 12)), s.ints({1, 4, 1})});
  EXPECT_EQ(pruned(s.graph(s.linear(whole, 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, CumSumPassesBesideItsAxisAndFreezesIt) {
  TextModel m(kSequence, 14);
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("CumSum", {first(m), m.constant("int64[] = 1")}), 12, 5))), "12|5 graph output");
  TextModel f(kSequence, 14);
  const std::string y = f.op("CumSum", {first(f), f.constant("int32[] = -1")});
  EXPECT_EQ(pruned(f.graph(head(f, y, 12))), "8|12 CumSum runs over it, 5 graph output");
}

TEST(IndexingUnits, TriluFreezesItsTwoAxes) {
  TextModel m("x: float[2,6,10]", 14);
  EXPECT_EQ(pruned(m.graph(head(m, m.op("Trilu", {first(m)}), 12))), "8|12 Trilu counts its positions, 5 graph output");
  TextModel p("x: float[2,6,10]", 14);
  const std::string y = p.op("Trilu", {p.reshape(p.transpose(first(p), {0, 2, 1}), {2, 12, 2, 3})}, "upper = 0");
  EXPECT_EQ(pruned(p.graph(p.linear(p.transpose(p.reshape(y, {2, 12, 6}), {0, 2, 1}), 12, 5))), "12|5 graph output");
}

TEST(IndexingUnits, DepthToSpacePrunesWholePixels) {
  for (const std::string mode : {"DCR", "CRD"}) {
    TextModel m("x: float[1,3,8,8]");
    std::string x = m.op("DepthToSpace", {m.relu(m.conv("x", 3, 64))}, "blocksize = 2, mode = \"" + mode + "\"");
    x = m.op("SpaceToDepth", {m.relu(m.conv(x, 16, 16))}, "blocksize = 2");
    EXPECT_EQ(pruned(m.graph(m.conv(x, 64, 4, 1))), "32|4 graph output") << mode;
  }
}

TEST(IndexingUnits, DepthToSpaceOfSpaceToDepthIsNothing) {
  TextModel m("x: float[1,3,8,8]");
  const std::string deep = m.op("SpaceToDepth", {m.relu(m.conv("x", 3, 16))}, "blocksize = 2");
  EXPECT_EQ(pruned(m.graph(m.conv(m.op("DepthToSpace", {deep}, "blocksize = 2"), 16, 4, 1))), "16|4 graph output");
}

TEST(IndexingUnits, TopKFreezesItsAxisAndPassesBeside) {
  TextModel m(kSequence);
  const auto parts = m.ops("TopK", {first(m), m.ints({3})}, 2, "axis = 1");
  EXPECT_EQ(pruned(m.graph(m.linear(parts[0], 12, 5))), "12|5 graph output");
  TextModel f(kSequence);
  const auto top = f.ops("TopK", {first(f), f.ints({3})}, 2);
  EXPECT_EQ(pruned(f.graph(head(f, top[0], 3))), "8|12 TopK over it, 5 graph output");
}

TEST(IndexingUnits, ArgMaxAndOneHotPassBesideTheirAxes) {
  TextModel m(kSequence);
  const std::string index = m.op("ArgMax", {first(m)}, "axis = 1, keepdims = 0");
  const std::string hot = m.op("OneHot", {index, m.constant("int64[] = 6"), m.constant("float[2] = {0.1, 1}")}, "axis = 1");
  EXPECT_EQ(pruned(m.graph(m.linear(hot, 12, 5))), "12|5 graph output");
  TextModel f(kSequence);
  const std::string best = f.op("Cast", {f.op("ArgMax", {first(f)}, "axis = -1")}, "to = 1");
  EXPECT_EQ(pruned(f.graph(head(f, best, 1))), "8|12 ArgMax over it, 5 graph output");
}

TEST(IndexingUnits, CompressUnderAConstantConditionPicksUnits) {
  TextModel m(kSequence);
  const std::string c = m.constant("bool[6] = {true, false, true, true, false, true}");
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("Compress", {first(m, 8), c}, "axis = 2"), 4, 5))), "8|5 graph output");
}

TEST(IndexingUnits, WhatDependsOnDataOrSizesFreezes) {
  TextModel m("x: float[4,10]");
  const std::string h = m.relu(m.linear("x", 10, 4));
  EXPECT_EQ(pruned(m.graph(head(m, m.op("Add", {h, m.op("EyeLike", {h})}), 4))),
            "8|5 graph output, 4 EyeLike takes its size from it");
  TextModel u("x: float[4,10]");
  const std::string distinct = u.op("Unique", {u.relu(u.linear("x", 10, 4))}, "axis = 0");
  EXPECT_EQ(pruned(u.graph(u.op("ReduceSum", {distinct}))), "0|4 Unique compares all of it");
}

TEST(IndexingUnits, ASizeThatReachesDataStaysPinned) {
  TextModel m("x: float[2,10]");
  const std::string h = m.relu(m.linear("x", 10, 12));
  const std::string n = m.op("Cast", {m.op("Size", {h})}, "to = 1");
  EXPECT_EQ(pruned(m.graph(m.linear(m.op("Div", {h, n}), 12, 5))), "12|5 graph output");
}

}  // namespace
}  // namespace espalier
