// QLinearConv, QLinearMatMul, ConvInteger and MatMulInteger: what goes leaves the zero point behind in the masked original.
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/importance.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

std::string in_words(const UnitTable& table) {
  int64_t free = 0;
  const auto groups = unit_groups(table);
  for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
  std::string text = std::to_string(free);
  for (const auto& [reason, n] : frozen_reasons(table, groups)) text += ", " + std::to_string(n) + " " + reason;
  return text;
}

/// Random cuts: integers are exact, so the cut graph is the masked original bit by bit.
void expect_cuts(const std::string& text, const std::string& words) {
  const Graph graph = parse_graph(text);
  for (const uint64_t seed : {3, 5, 7}) {
    UnitTable table = assign_units(graph);
    EXPECT_EQ(in_words(table), words);
    const Chosen chosen = choose_units(table, {keep_share(0.5), {}, seed});
    const auto feeds = random_feeds(table, seed);
    const Certificate found = certify(table, chosen.keep, chosen.cut, feeds);
    EXPECT_EQ(found.error, 0) << print_graph(chosen.cut.graph);
    EXPECT_FALSE(found.vacuous);
    const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds);
    EXPECT_FALSE(bad) << bad->value << " " << bad->error;
  }
}

TEST(QuantizedProducts, QLinearConvWithAScaleAndAZeroPointForEachChannel) {
  expect_cuts(R"(graph g (x: float[1,3,6,6]) -> (y) opset 13 {
    s: float[] = {0.03}
    z: uint8[] = {120}
    w: uint8[8,3,3,3] = uniform(1, 0, 255)
    ws: float[8] = uniform(2, 0.001, 0.004)
    wz: uint8[8] = uniform(3, 100, 140)
    b: int32[8] = uniform(4, -50, 50)
    d: int8[8,1,3,3] = uniform(5, -100, 100)
    ds: float[] = {0.01}
    dz: int8[] = {3}
    v: uint8[4,8,1,1] = uniform(6, 0, 255)
    vz: uint8[] = {128}
    q = QuantizeLinear(x, s, z)
    "first": h = QLinearConv(q, s, z, w, ws, wz, s, z, b) {pads = [1,1,1,1]}
    "depthwise": k = QLinearConv(h, s, z, d, ds, dz, s, z) {group = 8}
    m = MaxPool(k) {kernel_shape = [2,2]}
    "last": o = QLinearConv(m, s, z, v, ds, vz, s, z)
    y = DequantizeLinear(o, s, z)
  })", "8, 4 graph output");
}

TEST(QuantizedProducts, OneOutputChannelHasNoScaleForEach) {
  for (const char* scale : {"s", "one"}) {
    expect_cuts(std::string(R"(graph g (x: float[1,3,6,6]) -> (y) opset 13 {
      s: float[] = {0.03}
      z: uint8[] = {120}
      one: float[1] = {0.03}
      none: uint8[1] = {120}
      w: uint8[8,3,3,3] = uniform(1, 0, 255)
      v: uint8[1,8,1,1] = uniform(6, 0, 255)
      b: int32[1] = {30}
      q = QuantizeLinear(x, s, z)
      h = QLinearConv(q, s, z, w, s, z, s, z)
      o = QLinearConv(h, s, z, v, )") + scale + (*scale == 's' ? ", z" : ", none") + ", s, z, b)\n y = DequantizeLinear(o, s, z) }", "8");
  }
}

TEST(QuantizedProducts, GroupedQLinearConv) {
  expect_cuts(R"(graph g (x: float[1,3,5,5]) -> (y) opset 13 {
    s: float[] = {0.03}
    z: uint8[] = {120}
    w: int8[8,3,1,1] = uniform(1, -120, 120)
    g: uint8[12,4,1,1] = uniform(5, 0, 255)
    gz: uint8[12] = uniform(3, 100, 140)
    gs: float[12] = uniform(2, 0.001, 0.004)
    ws: float[] = {0.004}
    wz: int8[] = {-7}
    v: int8[2,12,1,1] = uniform(6, -120, 120)
    q = QuantizeLinear(x, s, z)
    h = QLinearConv(q, s, z, w, ws, wz, s, z)
    k = QLinearConv(h, s, z, g, gs, gz, s, z) {group = 2}
    o = QLinearConv(k, s, z, v, ws, wz, s, z)
    y = DequantizeLinear(o, s, z)
  })", "20, 2 graph output");
}

TEST(QuantizedProducts, QLinearMatMul) {
  expect_cuts(R"(graph g (x: float[2,5,6]) -> (y) opset 13 {
    s: float[] = {0.03}
    z: uint8[] = {120}
    w: uint8[6,8] = uniform(1, 0, 255)
    ws: float[8] = uniform(2, 0.001, 0.01)
    wz: uint8[8] = uniform(3, 100, 140)
    v: int8[8,3] = uniform(6, -120, 120)
    vs: float[] = {0.004}
    vz: int8[] = {5}
    q = QuantizeLinear(x, s, z)
    h = QLinearMatMul(q, s, z, w, ws, wz, s, z)
    o = QLinearMatMul(h, s, z, v, vs, vz, s, z)
    y = DequantizeLinear(o, s, z)
  })", "8, 3 graph output");
}

TEST(QuantizedProducts, IntegerProductsBehindFixedScales) {
  expect_cuts(R"(graph g (x: float[1,3,4,4]) -> (y) opset 13 {
    s: float[] = {0.03}
    t: float[] = {60}
    z: uint8[] = {120}
    w: uint8[8,3,1,1] = uniform(1, 0, 255)
    wz: uint8[] = {131}
    v: int8[128,5] = uniform(6, -120, 120)
    vz: int8[5] = {1, -2, 3, 0, 9}
    q = QuantizeLinear(x, s, z)
    h = ConvInteger(q, w, z, wz)
    f = Cast(h) {to = 1}
    p = QuantizeLinear(f, t, z)
    l = Flatten(p)
    y = MatMulInteger(l, v, z, vz)
  })", "8, 5 graph output");
}

// Bytes about the zero point 100 are nothing; those of the other channel are far from it.
TEST(QuantizedProducts, TheWorthOfAChannelIsThatOfTheNumbersItStandsFor) {
  const Graph graph = parse_graph(R"(graph g (q: uint8[1,2,4,4]) -> (y: uint8[1,2,4,4]) opset 13 {
    s: float[] = {0.5}
    z: uint8[] = {100}
    w: uint8[2,2,1,1] = {100, 101, 0, 10}
    ws: float[2] = {0.5, 0.25}
    v: uint8[2,2,1,1] = {100, 90, 100, 100}
    h = QLinearConv(q, s, z, w, ws, z, s, z)
    y = QLinearConv(h, s, z, v, s, z, s, z)
  })");
  const UnitTable table = assign_units(graph);
  const std::vector<double> worth = unit_importance(table, {Criterion::l1, {}, 0});
  const int32_t first = table.units.find(table.births.front().first), second = table.units.find(table.births.front().first + 1);
  EXPECT_NEAR(worth[static_cast<size_t>(second)] / worth[static_cast<size_t>(first)], (0.25 * 190 + 0.5 * 10) / (0.5 * 1), 1e-9);
}

TEST(QuantizedProducts, ADynamicScaleHoldsWhatItReads) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,6]) -> (y: float[2,3]) opset 13 {
    w: float[6,8] = fill(1)
    v: int8[8,3] = uniform(6, -120, 120)
    h = MatMul(x, w)
    q, s, z = DynamicQuantizeLinear(h)
    i = MatMulInteger(q, v, z)
    f = Cast(i) {to = 1}
    y = Mul(f, s)
  })");
  EXPECT_EQ(in_words(assign_units(graph)), "0, 8 DynamicQuantizeLinear takes its scale from all of it, 3 graph output");
}

}  // namespace
}  // namespace espalier
