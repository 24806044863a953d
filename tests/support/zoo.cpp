#include "tests/support/zoo.h"

#include <algorithm>

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

}  // namespace espalier::testing
