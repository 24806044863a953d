// Declared states: an input and an output that shrink together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;

const char* const kStreaming = R"(
  graph g (x: float[1,1,6], h: float[1,1,8], c: float[1,1,8]) -> (y: float[1,1,1,3], h2: float[1,1,8], c2: float[1,1,8]) opset 14 {
    w: float[1,32,6] = fill(1)
    r: float[1,32,8] = fill(2)
    b: float[1,64] = fill(3)
    v: float[8,3] = fill(4)
    s, h2, c2 = LSTM(x, w, r, b, _, h, c) {hidden_size = 8}
    y = MatMul(s, v)
  })";

int64_t free_units(const UnitTable& table) {
  int64_t free = 0;
  for (const UnitGroup& group : unit_groups(table)) free += static_cast<int64_t>(group.free.size());
  return free;
}

/// Cuts half of what is free and expects the certificate at every value.
Chosen cut_half(UnitTable& table) {
  Chosen chosen = choose_units(table, {keep_share(0.5), {}, 3});
  const auto feeds = random_feeds(table, 3);
  const Certificate c = certify(table, chosen.keep, chosen.cut, feeds);
  EXPECT_LT(c.error, 1e-7);
  EXPECT_FALSE(c.vacuous);
  const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds, 1e-7);
  EXPECT_FALSE(bad) << bad->value << " " << bad->error;
  verify(chosen.cut.graph);
  return chosen;
}

TEST(StateUnits, AStateThatIsNotDeclaredFreezesTheLayer) {
  const Graph graph = parse_graph(kStreaming);
  const UnitTable table = assign_units(graph);
  EXPECT_EQ(free_units(table), 0);
  EXPECT_EQ(frozen_reasons(table, unit_groups(table)).at("initial state is fixed (graph input)"), 8);
}

TEST(StateUnits, DeclaredStatesShrinkTogether) {
  const Graph graph = parse_graph(kStreaming);
  UnitTable table = assign_units(graph, {}, {{"h", "h2"}, {"c", "c2"}});
  EXPECT_EQ(free_units(table), 8);
  const Chosen chosen = cut_half(table);
  for (const char* name : {"h", "c", "h2", "c2"}) {
    EXPECT_EQ(chosen.cut.graph.value(chosen.cut.graph.find_value(name)).type.str(), "float[1,1,4]") << name;
  }
  EXPECT_EQ(chosen.cut.graph.initializer(chosen.cut.graph.find_value("r"))->dims(), (Dims{1, 16, 4}));
}

TEST(StateUnits, OneUndeclaredStateHoldsTheOther) {
  const Graph graph = parse_graph(kStreaming);
  const UnitTable table = assign_units(graph, {}, {{"h", "h2"}});
  EXPECT_EQ(free_units(table), 0);
}

TEST(StateUnits, ACacheOfAConvolutionShrinks) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,3,1], cache: float[1,4,2]) -> (y: float[1,2,1], next: float[1,4,2]) opset 14 {
    w: float[4,3,1] = fill(1)
    v: float[2,4,3] = fill(2)
    one: int64[1] = {1}
    three: int64[1] = {3}
    two: int64[1] = {2}
    f = Conv(x, w)
    window = Concat(cache, f) {axis = 2}
    y = Conv(window, v)
    next = Slice(window, one, three, two)
  })");
  EXPECT_EQ(free_units(assign_units(graph)), 0);
  UnitTable table = assign_units(graph, {}, {{"cache", "next"}});
  EXPECT_EQ(free_units(table), 4);
  EXPECT_EQ(cut_half(table).cut.graph.value(graph.find_value("cache")).type.str(), "float[1,2,2]");
}

TEST(StateUnits, RefusesWhatIsNoState) {
  const Graph graph = parse_graph(kStreaming);
  const auto fault = [&](const std::vector<DeclaredState>& states) { return error_of(ErrorKind::usage, [&] { assign_units(graph, {}, states); }); };
  EXPECT_THAT(fault({{"w", "h2"}}), HasSubstr("'w' is no input"));
  EXPECT_THAT(fault({{"h", "s"}}), HasSubstr("'s' is no output"));
  EXPECT_THAT(fault({{"x", "h2"}}), HasSubstr("has shape [1,1,6]"));
  EXPECT_THAT(fault({{"h", "h2"}, {"h", "c2"}}), HasSubstr("shares an end"));
}

TEST(StateUnits, DtlnIsPrunable) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Graph graph = load_model(testing::shared_path("zoo/dtln__model_1.onnx")).graph;
  UnitTable table = assign_units(graph, {}, {{"input_3", "tf_op_layer_stack_2"}});
  EXPECT_EQ(free_units(table), 128);
  EXPECT_EQ(cut_half(table).cut.graph.value(graph.find_value("input_3")).type.str(), "float[1,2,64,2]");
}

TEST(StateUnits, GtcrnGainsUnits) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Graph graph = load_model(testing::shared_path("zoo/gtcrn__gtcrn_simple.onnx")).graph;
  const UnitTable table = assign_units(
      graph, {}, {{"conv_cache", "conv_cache_out"}, {"tra_cache", "tra_cache_out"}, {"inter_cache", "inter_cache_out"}});
  EXPECT_FALSE(frozen_reasons(table, unit_groups(table)).contains("initial state is fixed (graph input)"));
  EXPECT_GT(free_units(table), free_units(assign_units(graph)));
}

}  // namespace
}  // namespace espalier
