#include "lib/train/batch_graph.h"

#include <algorithm>
#include <set>
#include <span>

#include "lib/analysis/rebatch.h"
#include "lib/base/error.h"

namespace espalier {

std::vector<InputSlot> input_slots(const Graph& graph) {
  std::vector<InputSlot> slots;
  for (const ValueId v : graph.inputs) {
    if (graph.initializer(v)) continue;
    const Value& value = graph.value(v);
    if (!value.type.is_tensor() || !value.type.has_rank() || value.type.rank() == 0) {
      throw Error(ErrorKind::bad_data, "input '" + value.name + "' is " + value.type.str() +
                                           ", expected a tensor of known rank with an axis of samples");
    }
    InputSlot slot{value.name, value.type.elem_type, {}};
    for (size_t i = 1; i < value.type.dims->size(); ++i) {
      const Dim& size = (*value.type.dims)[i];
      slot.dims.push_back(size.known() ? size.value() : -1);
    }
    slots.push_back(std::move(slot));
  }
  if (slots.empty()) throw Error(ErrorKind::bad_data, "the model has no inputs");
  return slots;
}

namespace {

/// Axis 0 of all inputs where they agree on a number; 0 where one is open or they differ.
int64_t written_batch(const Graph& graph) {
  std::set<int64_t> sizes;
  for (const ValueId v : graph.inputs) {
    const auto& dims = graph.value(v).type.dims;
    if (graph.initializer(v) || !dims || dims->empty()) continue;
    sizes.insert(dims->front().known() ? dims->front().value() : 0);
  }
  return sizes.size() == 1 ? *sizes.begin() : 0;
}

bool is_open(const Graph& graph) {
  return std::none_of(graph.inputs.begin(), graph.inputs.end(), [&](ValueId v) {
    const auto& dims = graph.value(v).type.dims;
    return !graph.initializer(v) && dims && !dims->empty() && dims->front().known();
  });
}

}  // namespace

Graph at_any_batch(const Graph& graph, int64_t batch) {
  if (is_open(graph)) return graph;
  try {
    return rebatch(graph, batch);
  } catch (const Error& e) {
    const int64_t written = written_batch(graph);
    if (e.kind() != ErrorKind::bad_data || written == 0) throw;
    if (written == batch) return graph;
    throw Error(e.kind(), e.what()).hint("the model runs at its own batch size alone: use " + std::to_string(written));
  }
}

int64_t only_batch(const Graph& graph) {
  const int64_t written = written_batch(graph);
  if (written == 0) return 0;
  try {
    rebatch(graph, written + 1);
    return 0;
  } catch (const Error&) {
    return written;
  }
}

ValueId find_output(const Graph& graph, const std::string& name) {
  std::string names;
  for (const ValueId v : graph.outputs) {
    if (name.empty() || graph.value(v).name == name) return v;
    names += (names.empty() ? "" : ", ") + graph.value(v).name;
  }
  throw Error(ErrorKind::usage, "the model has no output '" + name + "'").hint(names.empty() ? "it has none" : "it has " + names);
}

BatchPlans::BatchPlans(Graph graph, ParameterStore& store, std::map<std::string, Dims> sample_dims, CompileOptions options)
    : graph_(std::move(graph)), store_(store), sample_dims_(std::move(sample_dims)), options_(std::move(options)) {}

Plan& BatchPlans::plan(int64_t batch) {
  auto& plan = plans_[batch];
  if (plan) return *plan;
  CompileOptions options = options_;
  for (const ValueId v : graph_.inputs) {
    if (graph_.initializer(v)) continue;
    const Value& value = graph_.value(v);
    Dims dims = {batch};
    const auto given = sample_dims_.find(value.name);
    if (given != sample_dims_.end()) {
      dims.insert(dims.end(), given->second.begin(), given->second.end());
    } else {
      const auto sizes = std::span(*value.type.dims).subspan(1);
      if (!std::all_of(sizes.begin(), sizes.end(), [](const Dim& size) { return size.known(); })) continue;  // symbols of other inputs
      for (const Dim& size : sizes) dims.push_back(size.value());
    }
    options.input_shapes[value.name] = dims;
  }
  plan = std::make_unique<Plan>(graph_, store_, options);
  return *plan;
}

}  // namespace espalier
