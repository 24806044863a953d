#include "tools/model_figures.h"

#include "lib/onnx_io/save.h"
#include "passes/check_inputs.h"

namespace espalier {
namespace {

Resources one_sample(const Graph& graph) {
  Resources resources;
  for (const ValueId v : fed_inputs(graph)) {
    const Type& type = graph.value(v).type;
    if (!type.has_rank() || type.rank() == 0) continue;
    if (const auto symbol = type.dims->front().symbol_name()) resources.symbols[*symbol] = 1;
  }
  return resources;
}

}  // namespace

FactTable facts_for(const Model& model, const ModelFigures& figures) {
  return infer(model.graph, {.input_dims = figures.dims});
}

ModelFigures figures_of(const Model& model) {
  ModelFigures figures;
  try {
    figures.bytes = serialized_size(model);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_data) throw;  // beyond protobuf's 2 GiB: weights are nearly all of it
    for (const auto& [v, initializer] : model.graph.initializers()) {
      figures.bytes += static_cast<int64_t>(initializer.tensor.bytes().size());
    }
  }
  try {
    figures.dims = choose_input_dims(model.graph, one_sample(model.graph));
    for (auto& [input, dims] : figures.dims) {
      const Type& type = model.graph.value(model.graph.find_value(input)).type;
      if (!dims.empty() && !type.dims->front().known()) dims.front() = 1;
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_data) throw;
    figures.macs_known = false;
  }
  const CostTotals totals = graph_cost(model.graph, facts_for(model, figures));
  figures.params = totals.params;
  figures.macs = totals.macs;
  figures.opaque = totals.opaque;
  figures.unsized = totals.unsized;
  return figures;
}

Json to_json(const ModelFigures& figures) {
  Json json;
  json["params"] = figures.params;
  if (figures.macs_known) json["macs"] = figures.macs;
  else json["macs"] = nullptr;
  json["bytes"] = figures.bytes;
  return json;
}

}  // namespace espalier
