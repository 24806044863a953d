// Unit rules of normalisations, Einsum, Attention and elementwise maths: what is free, why the rest is not, and that random
// cuts equal the masked original at every value, in double.
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/surgeon.h"
#include "tests/lib/analysis/unit_models.h"

namespace espalier {
namespace {

using testing::TextModel;

/// A constant of the surgeon's that is stored as float: scales of RMSNormalization, the root of a head size.
constexpr double kTolerance = 1e-6;

/// "80 free; 5 graph output, 4 Softmax over it".
std::string summary(const Graph& graph) {
  const UnitTable table = assign_units(graph);
  const auto groups = unit_groups(table);
  int64_t free = 0;
  for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
  std::string text = std::to_string(free) + " free;";
  for (const auto& [reason, count] : frozen_reasons(table, groups)) text += " " + std::to_string(count) + " " + reason + ";";
  return text;
}

void expect_certified(const Graph& graph) {
  for (const uint64_t seed : {3, 5, 7}) {
    SCOPED_TRACE("at " + std::to_string(seed) + " tenths");
    UnitTable table = assign_units(graph);
    const Chosen chosen = choose_units(table, {keep_share(1 - static_cast<double>(seed) / 10), {}, seed});
    verify(chosen.cut.graph);
    const auto feeds = random_feeds(table, seed);
    const Certificate c = certify(table, chosen.keep, chosen.cut, feeds);
    EXPECT_LT(c.error, kTolerance);
    EXPECT_FALSE(c.vacuous);
    const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds, kTolerance);
    EXPECT_FALSE(bad) << table.graph->node(bad->node).where() << " " << bad->value << " " << bad->error;
  }
}

TEST(FusedUnits, RmsNormalizationTakesTheKeptCountIntoScaleAndEpsilon) {
  TextModel m("x: float[2,5,12]", 23);
  std::string x = m.linear("x", 12, 24);
  const std::string h = m.op("RMSNormalization", {x, m.weight({24}, 1)}, "epsilon = 0.01");
  x = m.op("Add", {x, m.linear(m.relu(m.linear(h, 24, 40)), 40, 24)});
  const Graph graph = m.graph(m.linear(m.op("RMSNormalization", {x, m.weight({24}, 1)}), 24, 5));
  EXPECT_EQ(summary(graph), "64 free; 5 graph output;");
  expect_certified(graph);
}

/// A residual, and the recurrent half of a cell, as the addend of a Gemm; a fixed one freezes what it is added to.
TEST(FusedUnits, GemmJoinsTheAddendThatIsCalculated) {
  TextModel m("x: float[3,12]");
  const std::string x = m.relu(m.linear("x", 12, 24));
  std::string y = m.op("Gemm", {m.relu(m.linear(x, 24, 16)), m.weight({16, 24}), x}, "alpha = 0.5");
  y = m.op("Gemm", {m.relu(y), m.weight({20, 24}), m.op("MatMul", {x, m.weight({24, 20})})}, "transB = 1, beta = 2.0");
  const std::string row = m.op("ReduceMean", {y}, "axes = [0], keepdims = 0");
  y = m.op("Gemm", {m.relu(y), m.weight({20, 20}), row});
  const Graph graph = m.graph(m.op("Gemm", {y, m.weight({20, 5}), m.small({5})}));
  EXPECT_EQ(summary(graph), "60 free; 5 graph output;");
  expect_certified(graph);

  TextModel fixed("x: float[3,12]");
  y = fixed.op("Gemm", {fixed.linear("x", 12, 8), fixed.weight({8, 12}), "x"});
  EXPECT_EQ(summary(fixed.graph(fixed.linear(fixed.relu(y), 12, 5))), "8 free; 12 Gemm joins it with a fixed axis; 5 graph output;");
}

TEST(FusedUnits, LpNormalizationIsASinkThatPassesItsUnits) {
  TextModel m("x: float[2,5,12]");
  std::string x = m.op("LpNormalization", {m.linear("x", 12, 24)}, "axis = -1, p = 2");
  x = m.op("LpNormalization", {m.linear(x, 24, 20)}, "axis = -1, p = 1");
  const Graph graph = m.graph(m.linear(x, 20, 5));
  EXPECT_EQ(summary(graph), "44 free; 5 graph output;");
  expect_certified(graph);
}

TEST(FusedUnits, GroupsOfChannelsAreCountedSingleChannelsAreNot) {
  for (const int64_t groups : {4, 16}) {
    TextModel m("x: float[1,3,6,6]", 21);
    const std::string h = m.conv("x", 3, 16);
    const std::string n = m.op("GroupNormalization", {h, m.weight({16}, 1), m.weight({16}, 1)}, "num_groups = " + std::to_string(groups));
    const Graph graph = m.graph(m.conv(m.relu(m.conv(m.relu(n), 16, 12)), 12, 4));
    EXPECT_EQ(summary(graph), groups == 16 ? "28 free; 4 graph output;" : "12 free; 16 GroupNormalization counts it; 4 graph output;");
    expect_certified(graph);
  }
}

TEST(FusedUnits, NeighboursOfLrnStay) {
  TextModel m("x: float[1,3,6,6]");
  const std::string h = m.op("LRN", {m.relu(m.conv("x", 3, 16))}, "size = 5, alpha = 0.1");
  const Graph graph = m.graph(m.conv(m.relu(m.conv(h, 16, 12)), 12, 4));
  EXPECT_EQ(summary(graph), "12 free; 16 LRN counts its neighbours; 4 graph output;");
  expect_certified(graph);
}

TEST(FusedUnits, MeanVarianceNormalizationOverPositionsPassesChannels) {
  for (const std::string axes : {"[0,2,3]", "[2,3]"}) {
    TextModel m("x: float[2,3,6,6]");
    const std::string h = m.op("MeanVarianceNormalization", {m.conv("x", 3, 16)}, "axes = " + axes);
    const Graph graph = m.graph(m.conv(m.relu(m.conv(h, 16, 12)), 12, 4));
    EXPECT_EQ(summary(graph), "28 free; 4 graph output;");
    expect_certified(graph);
  }
  TextModel m("x: float[2,3,6,6]");
  const std::string h = m.op("MeanVarianceNormalization", {m.conv("x", 3, 16)}, "axes = [1,2,3]");
  EXPECT_EQ(summary(m.graph(m.conv(h, 16, 4))), "0 free; 16 MeanVarianceNormalization counts it; 4 graph output;");
}

TEST(FusedUnits, ElementwiseMathsPasses) {
  TextModel m("x: float[2,12]");
  std::string x = m.linear("x", 12, 20);
  for (const std::string op : {"Erf", "Sin", "Cos", "Atan", "Softsign", "Mish", "Elu"}) x = m.op(op, {x});
  const Graph graph = m.graph(m.linear(x, 20, 3));
  EXPECT_EQ(summary(graph), "20 free; 3 graph output;");
  expect_certified(graph);
}

TEST(FusedUnits, AChoiceAmongUnitsFreezesThem) {
  TextModel m("x: float[2,12]");
  const std::string h = m.op("Hardmax", {m.linear("x", 12, 20)}, "axis = 1");
  EXPECT_EQ(summary(m.graph(m.linear(h, 20, 3))), "0 free; 20 Hardmax over it; 3 graph output;");
}

TEST(FusedUnits, EinsumOfAWeight) {
  TextModel m("x: float[2,5,12]");
  std::string x = m.op("Einsum", {"x", m.weight({12, 24})}, "equation = \"btd,de->bte\"");
  x = m.op("Einsum", {m.weight({20, 24}), m.relu(x)}, "equation = \"oe,bte->bto\"");
  const Graph graph = m.graph(m.linear(m.relu(x), 20, 5));
  EXPECT_EQ(summary(graph), "44 free; 5 graph output;");
  expect_certified(graph);
}

/// Heads as rows: scores and values by equation, queries and keys share their units.
TEST(FusedUnits, EinsumOfActivations) {
  TextModel m("x: float[2,6,12]");
  std::string x = m.linear("x", 12, 16);
  const auto heads = [&] { return m.reshape(m.linear(x, 16, 16), {2, 6, 2, 8}); };
  const std::string q = heads(), k = heads(), v = heads();
  const std::string p = m.op("Softmax", {m.op("Einsum", {q, k}, "equation = \"bqhd,bkhd->bhqk\"")}, "axis = -1");
  const std::string o = m.reshape(m.op("Einsum", {p, v}, "equation = \"bhqk,bkhd->bqhd\""), {2, 6, 16});
  const Graph graph = m.graph(m.linear(m.op("Add", {x, m.linear(o, 16, 16)}), 16, 5));
  EXPECT_EQ(summary(graph), "48 free; 5 graph output;");
  expect_certified(graph);
}

/// `queries` heads beside `keys`, each of 6.
Graph attention(int64_t queries, int64_t keys, bool flat, const std::string& attributes) {
  TextModel m("x: float[2,5,12]", 23);
  const std::string x = m.linear("x", 12, 16);
  const auto by_head = [&](int64_t heads) {
    const std::string h = m.linear(x, 16, heads * 6);
    return flat ? h : m.transpose(m.reshape(h, {2, 5, heads, 6}), {0, 2, 1, 3});
  };
  const std::string q = by_head(queries), k = by_head(keys), v = by_head(keys);
  std::string all = attributes;
  if (flat) all += (all.empty() ? "" : ", ") + std::string("q_num_heads = ") + std::to_string(queries) + ", kv_num_heads = " + std::to_string(keys);
  std::string o = m.op("Attention", {q, k, v}, all);
  if (!flat) o = m.reshape(m.transpose(o, {0, 2, 1, 3}), {2, 5, queries * 6});
  return m.graph(m.linear(m.op("Add", {x, m.linear(o, queries * 6, 16)}), 16, 5));
}

TEST(FusedUnits, AttentionSharesUnitsOfQueryAndKeyAndPassesThoseOfTheValue) {
  for (const bool flat : {false, true}) {
    SCOPED_TRACE(flat ? "flat" : "by head");
    const Graph plain = attention(4, 4, flat, "");
    EXPECT_EQ(summary(plain), "64 free; 5 graph output;");
    expect_certified(plain);
    const Graph capped = attention(2, 2, flat, "is_causal = 1, softcap = 2.0, scale = 0.3");
    EXPECT_EQ(summary(capped), "40 free; 5 graph output;");
    expect_certified(capped);
    const Graph grouped = attention(4, 2, flat, "");
    EXPECT_EQ(summary(grouped), "40 free; 5 graph output;");
    expect_certified(grouped);
  }
}

TEST(FusedUnits, RotaryEmbeddingFreezesWhatItTurns) {
  TextModel m("x: float[2,5,12]", 23);
  const std::string x = m.linear("x", 12, 16);
  const auto turned = [&] {
    return m.op("RotaryEmbedding", {m.transpose(m.reshape(m.linear(x, 16, 16), {2, 5, 2, 8}), {0, 2, 1, 3}), m.weight({2, 5, 4}), m.weight({2, 5, 4})});
  };
  const std::string q = turned(), k = turned();
  const std::string p = m.op("Softmax", {m.op("MatMul", {q, m.transpose(k, {0, 1, 3, 2})})}, "axis = -1");
  const std::string v = m.transpose(m.reshape(m.linear(x, 16, 16), {2, 5, 2, 8}), {0, 2, 1, 3});
  const std::string o = m.reshape(m.transpose(m.op("MatMul", {p, v}), {0, 2, 1, 3}), {2, 5, 16});
  const Graph graph = m.graph(m.linear(o, 16, 5));
  EXPECT_EQ(summary(graph), "32 free; 16 RotaryEmbedding turns it by its position; 5 graph output;");
  expect_certified(graph);
}

}  // namespace
}  // namespace espalier
