#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/base/random.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

/// A model of the zoo with random weights: as it is all its units are alike, and a wrong gather would not show.
Graph with_random_weights(const std::string& file) {
  Graph graph = load_model(testing::shared_path("zoo/light/" + file)).graph;
  const FactTable facts = infer(graph);
  uint32_t stream = 0;
  const auto fill = [&](ValueId v, double mean, double spread) {
    const Random random(3, RandomUse::test, stream++);
    Tensor tensor(DataType::float32, facts.constant(v)->dims());
    auto values = tensor.mutable_data<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      const double noise = spread * static_cast<double>(random.normal(i));
      values[i] = static_cast<float>(mean > 0 ? mean + std::abs(noise) : noise);
    }
    if (graph.producer(v) != kNone) graph.erase_node(graph.producer(v));
    graph.set_initializer(v, std::move(tensor));
  };
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const Node node = graph.node(id);
    if (node.op_type == "Conv" || node.op_type == "Gemm") {
      const Dims& dims = facts.constant(node.inputs[1])->dims();
      fill(node.inputs[1], 0, std::sqrt(2.0 / static_cast<double>(element_count(dims) / dims[0])));
      if (node.has_input(2)) fill(node.inputs[2], 0, 0.1);
    } else if (node.op_type == "BatchNormalization") {
      fill(node.inputs[1], 1, 0.3);
      fill(node.inputs[2], 0, 0.1);
      fill(node.inputs[3], 0, 0.1);
      fill(node.inputs[4], 1, 0.3);
    }
  }
  return graph;
}

// In double, by the plain reference; the larger ones would take minutes.
TEST(LightZoo, HalvesOfNetsWithRandomWeightsPassTheirCertificates) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const std::string file : {"squeezenet.onnx", "shufflenet.onnx"}) {
    SCOPED_TRACE(file);
    const Graph graph = with_random_weights(file);
    UnitTable table = assign_units(graph);
    const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 7});
    const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, 7));
    EXPECT_LT(found.error, 1e-9);
    EXPECT_FALSE(found.vacuous);
    EXPECT_GT(found.moved, 1e-3);
  }
}

}  // namespace
}  // namespace espalier
