#include "tests/support/zoo.h"

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/ops/op.h"
#include "tests/support/environment.h"

namespace espalier::testing {

std::vector<std::filesystem::path> zoo_models(const std::string& folder) {
  std::vector<std::filesystem::path> models;
  const auto path = shared_path(folder);
  if (!std::filesystem::is_directory(path)) return models;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".onnx") models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  return models;
}

bool all_ops_known(const Graph& graph) {
  return std::all_of(graph.nodes().begin(), graph.nodes().end(), [&](NodeId id) { return find_op(graph.node(id)); });
}

std::map<std::string, Dims> concrete_inputs(const Graph& graph, int64_t batch) {
  std::map<std::string, Dims> result;
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    if (graph.initializer(v) || !type.has_rank()) continue;
    Dims dims;
    for (const Dim& d : *type.dims) dims.push_back(d.known() ? d.value() : dims.empty() ? batch : type.rank() == 4 ? 64 : 32);
    result[graph.value(v).name] = dims;
  }
  return result;
}

std::map<std::string, Tensor> random_feeds(const Graph& graph, const std::map<std::string, Dims>& sizes, uint64_t seed) {
  std::map<std::string, Tensor> feeds;
  uint32_t stream = 0;
  for (const auto& [name, dims] : sizes) {
    const Random random(seed, RandomUse::test, stream++);
    const DataType type = graph.value(graph.find_value(name)).type.elem_type;
    Tensor values(DataType::float32, dims);
    auto data = values.mutable_data<float>();
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = is_float(type) ? random.normal(i) : static_cast<float>(random.below(i, 8));
    }
    feeds[name] = values.cast(type);
  }
  return feeds;
}

Graph with_random_weights(Graph graph, uint64_t seed) {
  const FactTable facts = infer(graph);
  uint32_t stream = 0;
  const auto fill = [&](ValueId v, double mean, double spread) {
    const Random random(seed, RandomUse::test, stream++);
    Tensor tensor(DataType::float32, *facts.type(v).known_dims());
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
      const Dims dims = *facts.type(node.inputs[1]).known_dims();
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

}  // namespace espalier::testing
