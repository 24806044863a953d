#include "lib/analysis/reference.h"

#include <algorithm>

#include "lib/analysis/infer.h"
#include "lib/analysis/run_seed.h"
#include "lib/base/error.h"
#include "lib/base/serial.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

bool widens(DataType type) { return is_float(type) && type != DataType::float64; }

Tensor widened(const Tensor& tensor) { return widens(tensor.type()) ? tensor.cast(DataType::float64) : tensor; }

HostValue widened(const HostValue& value) {
  if (value.is_tensor()) return widened(value.tensor());
  if (value.is_optional()) return value.has_element() ? HostValue::optional(widened(value.element())) : value;
  if (!value.is_sequence()) return value;
  std::vector<HostValue> elements;
  for (const HostValue& element : value.elements()) elements.push_back(widened(element));
  Type type = value.element_type();
  if (widens(type.elem_type)) type.elem_type = DataType::float64;
  return HostValue::sequence(std::move(type), std::move(elements));
}

void widen(Type& type) {
  if (widens(type.elem_type)) type.elem_type = DataType::float64;
  if (!type.element) return;
  Type inner = *type.element;
  widen(inner);
  type.element = std::make_shared<const Type>(std::move(inner));
}

/// The graph with double in place of every smaller float that is written in it.
Graph in_double(Graph graph) {
  for (size_t v = 0; v < graph.value_count(); ++v) widen(graph.value(static_cast<ValueId>(v)).type);
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
      } else if (auto* body = std::get_if<Body>(&attribute.value)) {
        *body = std::make_shared<const Graph>(in_double(**body));
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

void check_feed(const Value& value, const HostValue& fed) {
  if (agrees(value.type, fed)) return;
  fail("input '" + value.name + "' is " + fed.type().str() + ", but the model declares " + value.type.str());
}

/// Inputs of fewer elements are not worth a second thread; a body may do any amount of work with few.
constexpr int64_t kSerialElements = 16384;

bool is_small(const Node& node, const std::vector<const HostValue*>& inputs) {
  int64_t elements = 0;
  for (const HostValue* v : inputs) elements += v && v->is_tensor() ? v->tensor().size() : 0;
  return elements < kSerialElements && std::none_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value);
  });
}

class Run {
 public:
  Run(const Graph& graph, const ReferenceOptions& options, const Run* outer)
      : graph_(graph), options_(options), outer_(outer), values_(graph.value_count()), reads_(graph.value_count(), 0) {}

  std::map<std::string, HostValue> run(const std::map<std::string, HostValue>& feeds) {
    start();
    feed(feeds);
    steps();
    std::map<std::string, HostValue> result;
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
  std::vector<HostValue> run_body(const std::vector<HostValue>& inputs) {
    start();
    for (size_t i = 0; i < inputs.size(); ++i) values_[graph_.inputs[i]] = inputs[i];
    steps();
    std::vector<HostValue> result;
    for (const ValueId v : graph_.outputs) result.push_back(values_[v]);
    return result;
  }

  void start() {
    for (const auto& [v, initializer] : graph_.initializers()) values_[v] = initializer.tensor;
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Value& value = graph_.value(static_cast<ValueId>(i));
      if (!value.captured) continue;
      if (const HostValue* found = outside(value.name)) values_[i] = *found;
    }
  }

  /// A value that a body reads from outside itself.
  const HostValue* outside(const std::string& name) const {
    for (const Run* r = outer_; r; r = r->outer_) {
      const ValueId v = r->graph_.find_value(name);
      if (v != kNone && r->values_[v].defined()) return &r->values_[v];
    }
    return nullptr;
  }

  void feed(const std::map<std::string, HostValue>& feeds) {
    for (const auto& [name, value] : feeds) {
      const ValueId v = graph_.find_value(name);
      if (v == kNone || !(graph_.is_input(v) || graph_.value(v).captured)) fail("the graph has no input '" + name + "'");
      values_[v] = options_.in_double ? widened(value) : value;
      check_feed(graph_.value(v), values_[v]);
    }
    for (const ValueId v : graph_.inputs) {
      if (!values_[v].defined()) fail("input '" + graph_.value(v).name + "' is not fed");
    }
  }

  void steps() {
    count_reads();
    for (const NodeId id : graph_.nodes()) step(id);
  }

  void count_reads() {
    for (const NodeId id : graph_.nodes()) {
      for (const ValueId v : graph_.node(id).inputs) {
        if (v != kNone) ++reads_[v];
      }
    }
    for (const ValueId v : graph_.outputs) ++reads_[v];
    for (const std::string& name : graph_.captured_by_bodies()) {
      const ValueId v = graph_.find_value(name);
      if (v != kNone) ++reads_[v];  // never counted down: a later body may read it
    }
  }

  void step(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<const HostValue*> inputs(node.inputs.size(), nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!node.has_input(i)) continue;
      inputs[i] = &values_[node.inputs[i]];
      if (!inputs[i]->defined()) fail(node.where() + ": input '" + graph_.value(node.inputs[i]).name + "' has no value");
    }
    const SerialScope serial(is_small(node, inputs));
    ReferenceOptions inner = options_;
    inner.all_values = false;
    const RunBody body = [&](std::string_view attribute, const std::vector<HostValue>& values) {
      return Run(*node.require<Body>(attribute), inner, this).run_body(values);
    };
    std::vector<HostValue> made = evaluate_values(graph_, id, inputs, body);
    for (size_t i = 0; i < made.size(); ++i) {
      if (node.has_output(i)) values_[node.outputs[i]] = options_.in_double ? widened(made[i]) : std::move(made[i]);
    }
    if (options_.all_values) return;
    for (const ValueId v : node.inputs) {
      if (v != kNone && --reads_[v] == 0) values_[v] = HostValue();
    }
  }

  const Graph& graph_;
  const ReferenceOptions& options_;
  const Run* outer_;
  std::vector<HostValue> values_;
  std::vector<int> reads_;
};

}  // namespace

std::map<std::string, HostValue> run_reference_values(const Graph& graph, const std::map<std::string, HostValue>& feeds,
                                                      const ReferenceOptions& options) {
  if (!options.in_double && !needs_run_seed(graph)) return Run(graph, options, nullptr).run(feeds);
  Graph own = options.in_double ? in_double(graph) : graph;
  set_run_seed(own, 0);
  return Run(own, options, nullptr).run(feeds);
}

std::map<std::string, Tensor> run_reference(const Graph& graph, const std::map<std::string, Tensor>& feeds,
                                            const ReferenceOptions& options) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, value] : run_reference_values(graph, {feeds.begin(), feeds.end()}, options)) {
    if (value.is_tensor()) tensors[name] = value.tensor();
  }
  return tensors;
}

}  // namespace espalier
