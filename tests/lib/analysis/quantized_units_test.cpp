// Channels behind QuantizeLinear and DequantizeLinear are pruned, and what was quantized stays so.
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/quantization.h"
#include "lib/analysis/reference.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

/// Two convolutions with int8 weights (one scale; a scale per channel) and activations quantized between them.
Graph net(const std::string& weight_scale = "float[4] = {0.1, 0.2, 0.3, 0.4}", const std::string& zero = "int8[4] = {0, 1, 2, 3}",
          const std::string& between = "s: float[] = {0.05}\n z: uint8[] = {128}\n q = QuantizeLinear(h, s, z)\n d = DequantizeLinear(q, s, z)") {
  return parse_graph(R"(graph g (x: float[n,2,4,4]) -> (y) opset 13 {
    wq: int8[4,2,1,1] = {1, -2, 3, 4, -5, 6, 7, 8}
    ws: )" + weight_scale + "\n wz: " + zero + R"(
    w = DequantizeLinear(wq, ws, wz) {axis = 0}
    bq: int32[4] = {1, 2, 3, 4}
    bs: float[] = {0.125}
    b = DequantizeLinear(bq, bs)
    "conv": h = Conv(x, w, b)
    )" + between + R"(
    vq: int8[3,4,1,1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
    vs: float[] = {0.1}
    v = DequantizeLinear(vq, vs)
    "last": y = Conv(d, v)
  })");
}

/// Without channel 1 of "conv".
CutGraph cut(UnitTable& table, std::vector<bool>& keep) {
  keep.assign(static_cast<size_t>(table.units.size()), true);
  keep[static_cast<size_t>(table.units.find(table.births.at(0).first + 1))] = false;
  Chosen chosen = cut_chosen(table, keep);
  keep = chosen.keep;
  return std::move(chosen.cut);
}

TEST(QuantizedUnits, WeightsStayIntegersAndTheirScalesFollow) {
  const Graph graph = net();
  UnitTable table = assign_units(graph);
  std::vector<bool> keep;
  const CutGraph left = cut(table, keep);
  const auto behind = [&](const std::string& node, size_t input) {
    for (const NodeId id : left.graph.nodes()) {
      if (left.graph.node(id).name == node) return left.graph.node(left.graph.producer(left.graph.node(id).inputs[input]));
    }
    throw Error(ErrorKind::internal, "no node " + node);
  };
  const Node w = behind("conv", 1), b = behind("conv", 2), v = behind("last", 1);
  EXPECT_EQ(w.op_type, "DequantizeLinear");
  EXPECT_EQ(*left.graph.initializer(w.inputs[0]), Tensor::of<int8_t>({3, 2, 1, 1}, {1, -2, -5, 6, 7, 8}));
  EXPECT_EQ(*left.graph.initializer(w.inputs[1]), Tensor::of<float>({3}, {0.1f, 0.3f, 0.4f}));
  EXPECT_EQ(*left.graph.initializer(w.inputs[2]), Tensor::of<int8_t>({3}, {0, 2, 3}));
  EXPECT_EQ(*left.graph.initializer(b.inputs[0]), Tensor::of<int32_t>({3}, {1, 3, 4}));
  EXPECT_EQ(*left.graph.initializer(v.inputs[0]), Tensor::of<int8_t>({3, 3, 1, 1}, {1, 3, 4, 5, 7, 8, 9, 11, 12}));
  EXPECT_EQ(left.graph.find_value("wq") == kNone, false) << "the smaller constant has the name of the whole one";
}

TEST(QuantizedUnits, CutsEqualTheMaskedOriginal) {
  const std::string per_channel = "s: float[4] = {0.05, 0.1, 0.2, 0.3}\n z: uint8[4] = {1, 128, 100, 50}\n q = QuantizeLinear(h, s, z)\n d = DequantizeLinear(q, s, z)";
  for (const Graph& graph : {net(), net("float[] = {0.5}", "int8[] = {3}"), net("float[] = {0.5}", "int8[] = {3}", per_channel)}) {
    UnitTable table = assign_units(graph);
    std::vector<bool> keep;
    const CutGraph left = cut(table, keep);
    const auto feeds = random_feeds(table, 3);
    const Certificate found = certify(table, keep, left, feeds);
    EXPECT_LT(found.error, 1e-12);
    EXPECT_FALSE(found.vacuous);
    EXPECT_FALSE(first_difference(table, keep, left, feeds));
  }
}

TEST(WithoutRounding, LeavesTheStepsOutAndKeepsTheRange) {
  const Graph graph = parse_graph(R"(graph g (x: float[3]) -> (y) opset 13 {
    s: float[] = {1}
    z: uint8[] = {10}
    q = QuantizeLinear(x, s, z)
    y = DequantizeLinear(q, s, z)
  })");
  const std::map<std::string, Tensor> feeds = {{"x", Tensor::of<float>({3}, {0.25f, -20, 300})}};
  EXPECT_EQ(run_reference(graph, feeds).at("y"), Tensor::of<float>({3}, {0, -10, 245}));
  EXPECT_EQ(run_reference(without_rounding(graph), feeds).at("y"), Tensor::of<float>({3}, {0.25f, -10, 245}));
}

TEST(QuantizedUnits, TinynetPassesItsCertificate) {
  const auto file = testing::shared_path("zoo/kassymm__tinynet_cifar10_int8_static.onnx");
  if (!exists(file)) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Graph graph = load_model(file).graph;
  UnitTable table = assign_units(graph);
  const Chosen chosen = choose_units(table, {keep_share(0.7), {}, 7});
  const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, 7));
  EXPECT_LT(found.error, 1e-9);
  EXPECT_FALSE(found.vacuous);
  for (const auto& [v, initializer] : chosen.cut.graph.initializers()) {
    EXPECT_FALSE(initializer.tensor.type() == DataType::float32 && initializer.tensor.rank() == 4) << chosen.cut.graph.value(v).name;
  }
}

}  // namespace
}  // namespace espalier
