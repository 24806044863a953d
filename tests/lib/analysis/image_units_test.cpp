// Unit rules of operators on images: what is free, and random cuts against the masked original in double.
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// h [1, 12, 8, 8] by a convolution, then `body`, which makes z, then a convolution of 3 outputs.
Graph between(const std::string& body, const std::string& last_weight = "v: float[3,12,1,1] = fill(2)", const std::string& inputs = "") {
  return parse_graph("graph g (x: float[1,3,8,8]" + inputs + ") -> (y) opset 20 { w: float[12,3,3,3] = fill(1)\n " + last_weight +
                     "\n h = Conv(x, w) {pads = [1,1,1,1]}\n " + body + "\n y = Conv(z, v) }");
}

int64_t free_units(const UnitTable& table) {
  int64_t free = 0;
  for (const UnitGroup& group : unit_groups(table)) free += static_cast<int64_t>(group.free.size());
  return free;
}

std::string reasons(const UnitTable& table) {
  std::string text;
  for (const auto& [reason, count] : frozen_reasons(table, unit_groups(table))) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + reason;
  return text;
}

/// Random cuts; `inner`: every value must agree too.
void expect_cuts(const Graph& graph, int64_t free, const std::string& why = "3 graph output", bool inner = true) {
  const UnitTable whole = assign_units(graph);
  EXPECT_EQ(free_units(whole), free);
  EXPECT_EQ(reasons(whole), why);
  for (const uint64_t seed : {3, 5, 7}) {
    UnitTable table = assign_units(graph);
    const Chosen chosen = choose_units(table, {keep_share(1 - static_cast<double>(seed) / 10), {}, seed});
    verify(chosen.cut.graph);
    const auto feeds = random_feeds(table, seed);
    const Certificate c = certify(table, chosen.keep, chosen.cut, feeds);
    EXPECT_LT(c.error, 1e-9);
    EXPECT_EQ(c.vacuous, free == 0);
    const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds, 1e-9);
    EXPECT_FALSE(inner && bad) << table.graph->node(bad->node).where() << " " << bad->value << " " << bad->error;
  }
}

TEST(ImageUnits, ResizePassesChannelsByScalesAndSizes) {
  expect_cuts(between("s: float[4] = {1, 1, 2, 0.5}\n z = Resize(h, _, s) {mode = \"linear\"}"), 12);
  expect_cuts(between("s: int64[4] = {1, 12, 5, 20}\n z = Resize(h, _, _, s)"), 12);
  expect_cuts(between("s: int64[2] = {5, 20}\n z = Resize(h, _, _, s) {axes = [2, 3], mode = \"cubic\"}"), 12);
}

TEST(ImageUnits, Col2ImTakesTheBlockOfAChannelAsOneUnit) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,3,9]) -> (y: float[1,3,4,4]) opset 18 {
    w: float[24,3,1] = fill(1)
    b: float[24] = fill(5)
    u: float[3,6,1,1] = fill(2)
    image: int64[2] = {4, 4}
    block: int64[2] = {2, 2}
    h = Conv(x, w, b)
    r = Relu(h)
    z = Col2Im(r, image, block)
    y = Conv(z, u)
  })");
  expect_cuts(graph, 6);
}

TEST(ImageUnits, ResizeWritesSizesAnewWhereAChannelWent) {
  const Graph graph = between("s: int64[4] = {1, 12, 5, 20}\n z = Resize(h, _, _, s)");
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1});
  const Graph& cut = chosen.cut.graph;
  for (const NodeId id : cut.nodes()) {
    if (cut.node(id).op_type != "Resize") continue;
    EXPECT_EQ(cut.initializer(cut.node(id).inputs[3])->to_int64s(), (std::vector<int64_t>{1, 6, 5, 20}));
  }
}

TEST(ImageUnits, ResizeOfChannelsFreezesThem) {
  const Graph graph = between("s: float[4] = {1, 2, 1, 1}\n z = Resize(h, _, s)", "v: float[3,24,1,1] = fill(2)");
  expect_cuts(graph, 0, "12 Resize mixes it, 3 graph output");
}

TEST(ImageUnits, ResizeOfAnNhwcTensorPassesItsLastAxis) {
  expect_cuts(between("t = Transpose(h) {perm = [0,2,3,1]}\n s: int64[4] = {1, 5, 4, 12}\n r = Resize(t, _, _, s) {mode = \"linear\"}\n z = Transpose(r) {perm = [0,3,1,2]}"), 12);
}

TEST(ImageUnits, GridSampleAndRegionsPassTheChannelsOfTheirFeatures) {
  expect_cuts(between("z = GridSample(h, g) {padding_mode = \"border\"}", "v: float[3,12,1,1] = fill(2)", ", g: float[1,4,5,2]"), 12);
  expect_cuts(between("r: float[2,4] = {0, 0, 5, 6, 2, 1, 7, 4}\n b: int64[2] = {0, 0}\n z = RoiAlign(h, r, b) {output_height = 2, output_width = 3}"), 12);
  expect_cuts(between("r: float[2,5] = {0, 0, 0, 5, 6, 0, 2, 1, 7, 4}\n z = MaxRoiPool(h, r) {pooled_shape = [2, 2]}"), 12);
}

TEST(ImageUnits, AGridOutOfWeightsIsFrozen) {
  const Graph graph = between("k: float[2,12,1,1] = fill(5)\n a = Conv(h, k)\n g = Transpose(a) {perm = [0,2,3,1]}\n z = GridSample(h, g)");
  expect_cuts(graph, 12, "2 GridSample reads it as places, 3 graph output");
}

TEST(ImageUnits, MaxUnpoolFollowsThePoolWhoseIndicesItReads) {
  const std::string unpool = "p, i = MaxPool(h) {kernel_shape = [2,2], strides = [2,2]}\n";
  // The indices count through fewer channels after a cut, so values inside differ by nature.
  expect_cuts(between(unpool + "z = MaxUnpool(p, i) {kernel_shape = [2,2], strides = [2,2]}"), 12, "3 graph output", false);
  expect_cuts(between(unpool + "s: int64[4] = {1, 12, 9, 9}\n z = MaxUnpool(p, i, s) {kernel_shape = [2,2], strides = [2,2]}"), 12, "3 graph output", false);
  expect_cuts(between(unpool + "f = Cast(i) {to = 1}\n q = Add(p, f)\n z = Relu(q)"), 0, "12 MaxPool in this form needs all of it, 3 graph output");
}

TEST(ImageUnits, PoolsPassChannels) {
  expect_cuts(between("z = LpPool(h) {kernel_shape = [2,2], p = 3}"), 12);
  expect_cuts(between("z = GlobalLpPool(h) {p = 3}"), 12);
  expect_cuts(between("z = GlobalMaxPool(h)"), 12);
}

TEST(ImageUnits, ConvTransposeDenseGroupedAndDepthwise) {
  expect_cuts(between("k: float[12,10,2,2] = fill(5)\n b: float[10] = fill(6)\n z = ConvTranspose(h, k, b) {strides = [2,2]}", "v: float[3,10,1,1] = fill(2)"), 22);
  expect_cuts(between("k: float[12,5,2,2] = fill(5)\n b: float[15] = fill(6)\n z = ConvTranspose(h, k, b) {group = 3}", "v: float[3,15,1,1] = fill(2)"), 27);
  expect_cuts(between("k: float[12,1,2,2] = fill(5)\n z = ConvTranspose(h, k) {group = 12, strides = [2,2]}"), 12);
  expect_cuts(between("k: float[12,2,2,2] = fill(5)\n z = ConvTranspose(h, k) {group = 12, strides = [2,2]}", "v: float[3,24,1,1] = fill(2)"), 12);
}

TEST(ImageUnits, DeformConvWithGroupsAndOffsetGroups) {
  const auto model = [](const std::string& weight, int64_t offset_group, const std::string& attributes) {
    const std::string offsets = std::to_string(offset_group * 8), masks = std::to_string(offset_group * 4);
    return between("k: float[" + weight + ",2,2] = fill(5)\n b: float[10] = fill(6)\n z = DeformConv(h, k, o, b, m) {offset_group = " + std::to_string(offset_group) + attributes + "}",
                   "v: float[3,10,1,1] = fill(2)", ", o: float[1," + offsets + ",7,7], m: float[1," + masks + ",7,7]");
  };
  expect_cuts(model("10,12", 1, ""), 22);
  expect_cuts(model("10,12", 3, ""), 22);
  expect_cuts(model("10,6", 1, ", group = 2"), 22);
  expect_cuts(model("10,6", 4, ", group = 2"), 22);
}

}  // namespace
}  // namespace espalier
