#include "lib/analysis/reference.h"

#include <algorithm>

#include "lib/analysis/infer.h"
#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

bool widens(DataType type) { return is_float(type) && type != DataType::float64; }

Tensor widened(const Tensor& tensor) { return widens(tensor.type()) ? tensor.cast(DataType::float64) : tensor; }

/// The graph with double in place of every smaller float that is written in it.
Graph in_double(Graph graph) {
  const auto initializers = graph.initializers();
  for (const auto& [v, initializer] : initializers) {
    if (widens(initializer.tensor.type())) graph.set_initializer(v, widened(initializer.tensor));
  }
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const std::vector<Attribute> attributes = graph.node(id).attributes;
    for (Attribute attribute : attributes) {
      if (auto* tensor = std::get_if<Tensor>(&attribute.value)) {
        *tensor = widened(*tensor);
      } else if (auto* type = std::get_if<int64_t>(&attribute.value)) {
        const bool names_type = attribute.name == "to" || attribute.name == "dtype" || attribute.name == "stash_type";
        if (names_type && widens(static_cast<DataType>(*type))) *type = static_cast<int64_t>(DataType::float64);
      } else {
        continue;
      }
      graph.set_attribute(id, std::move(attribute));
    }
  }
  return graph;
}

void check_feed(const Value& value, const Tensor& tensor, bool doubled) {
  const Type& type = value.type;
  if (!type.is_tensor()) return;
  const DataType wanted = doubled && widens(type.elem_type) ? DataType::float64 : type.elem_type;
  bool fits = wanted == DataType::undefined || wanted == tensor.type();
  fits = fits && (!type.has_rank() || type.rank() == tensor.rank());
  for (size_t i = 0; fits && type.has_rank() && i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    fits = !dim.known() || dim.is(tensor.dims()[i]);
  }
  if (!fits) {
    fail("input '" + value.name + "' is " + Type::tensor(tensor.type(), tensor.dims()).str() + ", but the model declares " +
         type.str());
  }
}

class Run {
 public:
  Run(const Graph& graph, const ReferenceOptions& options)
      : graph_(graph), options_(options), values_(graph.value_count()), reads_(graph.value_count(), 0) {}

  std::map<std::string, Tensor> run(const std::map<std::string, Tensor>& feeds) {
    feed(feeds);
    count_reads();
    for (const NodeId id : graph_.nodes()) step(id);
    std::map<std::string, Tensor> result;
    const auto keep = [&](ValueId v) {
      if (values_[v].defined()) result[graph_.value(v).name] = values_[v];
    };
    if (options_.all_values) {
      for (size_t v = 0; v < values_.size(); ++v) keep(static_cast<ValueId>(v));
    }
    std::for_each(graph_.outputs.begin(), graph_.outputs.end(), keep);
    return result;
  }

 private:
  void feed(const std::map<std::string, Tensor>& feeds) {
    for (const auto& [v, initializer] : graph_.initializers()) values_[v] = initializer.tensor;
    for (const auto& [name, tensor] : feeds) {
      const ValueId v = graph_.find_value(name);
      if (v == kNone || !(graph_.is_input(v) || graph_.value(v).captured)) fail("the graph has no input '" + name + "'");
      values_[v] = options_.in_double ? widened(tensor) : tensor;
      check_feed(graph_.value(v), values_[v], options_.in_double);
    }
    for (const ValueId v : graph_.inputs) {
      if (!values_[v].defined()) fail("input '" + graph_.value(v).name + "' is not fed");
    }
  }

  void count_reads() {
    for (const NodeId id : graph_.nodes()) {
      for (const ValueId v : graph_.node(id).inputs) {
        if (v != kNone) ++reads_[v];
      }
    }
    for (const ValueId v : graph_.outputs) ++reads_[v];
  }

  void step(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!node.has_input(i)) continue;
      inputs[i] = &values_[node.inputs[i]];
      if (!inputs[i]->defined()) fail(node.where() + ": input '" + graph_.value(node.inputs[i]).name + "' has no value");
    }
    std::vector<Tensor> made = evaluate_node(graph_, id, inputs);
    for (size_t i = 0; i < made.size(); ++i) {
      if (node.has_output(i)) values_[node.outputs[i]] = options_.in_double ? widened(made[i]) : std::move(made[i]);
    }
    if (options_.all_values) return;
    for (const ValueId v : node.inputs) {
      if (v != kNone && --reads_[v] == 0) values_[v] = Tensor();
    }
  }

  const Graph& graph_;
  const ReferenceOptions& options_;
  std::vector<Tensor> values_;
  std::vector<int> reads_;
};

}  // namespace

std::map<std::string, Tensor> run_reference(const Graph& graph, const std::map<std::string, Tensor>& feeds,
                                            const ReferenceOptions& options) {
  if (!options.in_double) return Run(graph, options).run(feeds);
  const Graph wide = in_double(graph);
  return Run(wide, options).run(feeds);
}

}  // namespace espalier
