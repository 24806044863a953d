#include "lib/analysis/certificate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lib/analysis/opened_bodies.h"
#include "lib/analysis/quantization.h"
#include "lib/analysis/reference.h"
#include "lib/base/random.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

class Masking {
 public:
  Masking(const UnitTable& table, const std::vector<bool>& keep) : table_(table), keep_(keep), graph_(*table.graph) {}

  Graph run() {
    for (const Sink& sink : table_.sinks) {
      const IndexArray roots = table_.units.find(sink.units.ids);
      if (std::all_of(roots.values().begin(), roots.values().end(), [&](int32_t id) { return kept(id); })) continue;
      if (sink.weight) mask_weight(sink);
      else mask_activation(sink);
    }
    if (table_.opened) return close_bodies(*table_.opened, graph_, made_for_);
    return std::move(graph_);
  }

 private:
  bool kept(int32_t id) const { return keep_[static_cast<size_t>(table_.units.find(id))]; }

  ValueId add_constant(Tensor tensor) {
    const ValueId v = graph_.add_value("masked", Type::tensor(tensor.type(), tensor.dims()));
    graph_.set_initializer(v, std::move(tensor));
    return v;
  }

  /// What stands for 0 in a weight: one number, or one for each of its outputs.
  Tensor zero_of(const Sink& sink, DataType type) const {
    const Node& node = table_.graph->node(sink.node);
    if (!sink.zero_point || !node.has_input(*sink.zero_point)) return Tensor(type, {});
    return *table_.facts[static_cast<size_t>(node.inputs[*sink.zero_point])].constant;
  }

  /// A stored weight is changed; one that nodes make (DequantizeLinear) is multiplied, so that it is made as in the cut graph.
  void mask_weight(const Sink& sink) {
    const ValueId original = table_.graph->node(sink.node).inputs[sink.input];
    const bool stored = sink.zero_point || table_.graph->constant(original) != nullptr;
    Tensor weight = *table_.facts[static_cast<size_t>(original)].constant;
    if (!stored) weight = Tensor::of(weight.dims(), std::vector<float>(static_cast<size_t>(weight.size()), 1)).cast(weight.type());
    const Dims dims = weight.dims();
    const auto axis = static_cast<size_t>(sink.axis);
    const int64_t rows_each = dims[0] / sink.groups;
    const auto bytes = weight.mutable_bytes();
    const size_t width = static_cast<size_t>(bit_width(weight.type())) / 8;
    const Tensor zero = zero_of(sink, weight.type());
    const size_t outputs = axis == 0 ? dims.size() - 1 : 0;  // what each zero point serves
    size_t at = 0;
    for_each_position(dims, [&](const Dims& position) {
      const int64_t group = sink.groups > 1 ? position[0] / rows_each : 0;
      const int64_t of = zero.size() == 1 ? 0 : position[outputs];
      const auto value = zero.bytes().subspan(static_cast<size_t>(of) * width, width);
      if (!kept(sink.units.ids[group * dims[axis] + position[axis]])) {
        std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
      }
      at += width;
    });
    const ValueId masked = add_constant(std::move(weight));
    graph_.set_input(sink.node, sink.input, stored ? masked : product(sink, masked));
  }

  /// The operand of a sink times a mask.
  ValueId product(const Sink& sink, ValueId mask) {
    const ValueId made = graph_.add_value("masked");
    Node node;
    node.op_type = "Mul";
    node.inputs = {graph_.node(sink.node).inputs[sink.input], mask};
    node.outputs = {made};
    node.name = graph_.value(made).name;
    node.version = graph_.opset();
    made_for_.emplace(graph_.add_node(std::move(node), sink.node), sink.node);
    return made;
  }

  void mask_activation(const Sink& sink) {
    const ValueId v = table_.graph->node(sink.node).inputs[sink.input];
    const UnitFact& fact = table_.facts[static_cast<size_t>(v)];
    Dims dims(fact.dims->size(), 1);
    std::vector<double> mask;
    for (size_t i = 0; i < sink.units.axes.size(); ++i) dims[static_cast<size_t>(sink.units.axes[i])] = sink.units.ids.dims()[i];
    for (const int32_t id : sink.units.ids.values()) mask.push_back(kept(id) ? 1 : 0);
    graph_.set_input(sink.node, sink.input, product(sink, add_constant(Tensor::of<double>(dims, mask).cast(fact.type))));
  }

  const UnitTable& table_;
  const std::vector<bool>& keep_;
  Graph graph_;
  std::unordered_map<NodeId, NodeId> made_for_;
};

/// The outputs, each taken before an op that hides errors.
std::vector<ValueId> compared_values(const UnitTable& table) {
  constexpr std::array squash = {"Sigmoid", "Softmax", "LogSoftmax", "HardSigmoid", "ArgMax"};
  const Graph& g = *table.graph;
  std::vector<ValueId> result;
  for (ValueId v : g.outputs) {
    if (table.facts[static_cast<size_t>(v)].constant) continue;
    const NodeId maker = g.producer(v);
    if (maker != kNone && std::find(squash.begin(), squash.end(), g.node(maker).op_type) != squash.end()) {
      v = g.node(maker).inputs[0];
    }
    if (std::find(result.begin(), result.end(), v) == result.end()) result.push_back(v);
  }
  return result;
}

std::map<std::string, Tensor> outputs_of(const Graph& graph, const std::vector<ValueId>& values,
                                         const std::map<std::string, Tensor>& feeds, const GraphRunner& runner) {
  Graph run = without_rounding(graph);
  run.outputs = values;
  return runner(run, feeds);
}

/// Largest difference as a share of the largest absolute value of `a`; infinity for other shapes.
double difference(const Tensor& a, const Tensor& b) {
  if (a.dims() != b.dims()) return std::numeric_limits<double>::infinity();
  const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  double worst = 0, scale = 1e-6;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - y[i]);
    if (std::isnan(d)) {
      if (std::isnan(x[i]) == std::isnan(y[i])) continue;  // both not a number, or both the same infinity
      return std::numeric_limits<double>::infinity();
    }
    worst = std::max(worst, d);
    if (std::isfinite(x[i])) scale = std::max(scale, std::abs(x[i]));
  }
  return worst / scale;
}

/// A value of the original at the coordinates that are left.
Tensor at_kept(Tensor tensor, const std::vector<Bundle>& kept) {
  for (const Bundle& k : kept) {
    Dims dims = tensor.dims(), strides = row_major_strides(tensor.dims());
    dims[static_cast<size_t>(k.ragged)] = k.length();
    std::vector<int> all(dims.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    const IndexArray coordinates = spread(k, all, dims);
    std::vector<int64_t> elements;
    int64_t p = 0;
    for_each_position(dims, [&](const Dims& at) {
      int64_t element = 0;
      for (size_t i = 0; i < at.size(); ++i) {
        element += (static_cast<int>(i) == k.ragged ? coordinates[p] : at[i]) * strides[i];
      }
      ++p;
      elements.push_back(element);
    });
    tensor = take_blocks(tensor, dims, 1, elements);
  }
  return tensor;
}

/// What the cut graph is fed: states lose what they lost.
std::map<std::string, Tensor> feeds_of(const UnitTable& table, const CutGraph& cut, std::map<std::string, Tensor> feeds) {
  for (const StateUnits& s : table.states) {
    const auto found = feeds.find(table.graph->value(s.input).name);
    if (found != feeds.end()) found->second = at_kept(found->second, cut.kept[static_cast<size_t>(s.input)]);
  }
  return feeds;
}

}  // namespace

GraphRunner reference_runner() {
  return [](const Graph& graph, const std::map<std::string, Tensor>& feeds) {
    return run_reference(graph, feeds, {.in_double = true});
  };
}

Graph masked_original(const UnitTable& table, const std::vector<bool>& keep) { return Masking(table, keep).run(); }

Certificate certify(const UnitTable& table, const std::vector<bool>& keep, const CutGraph& cut,
                    const std::map<std::string, Tensor>& feeds, const GraphRunner& runner) {
  const std::vector<ValueId> values = compared_values(table);
  const auto masked = outputs_of(masked_original(table, keep), values, feeds, runner);
  const auto left = outputs_of(cut.graph, values, feeds_of(table, cut, feeds), runner);
  const auto whole = outputs_of(*table.given, values, feeds, runner);
  Certificate result;
  for (const ValueId v : values) {
    const std::string& name = table.graph->value(v).name;
    const Tensor& tensor = masked.at(name);
    result.error = std::max(result.error, difference(at_kept(tensor, cut.kept[static_cast<size_t>(v)]), left.at(name)));
    result.moved = std::max(result.moved, difference(tensor, whole.at(name)));
    ++result.values;
  }
  result.vacuous = result.moved == 0;
  return result;
}

std::optional<InnerDifference> first_difference(const UnitTable& table, const std::vector<bool>& keep, const CutGraph& cut,
                                                const std::map<std::string, Tensor>& feeds, double tolerance) {
  const ReferenceOptions options{.all_values = true, .in_double = true};
  const auto masked = run_reference(without_rounding(masked_original(table, keep)), feeds, options);
  const auto left = run_reference(without_rounding(cut.graph), feeds_of(table, cut, feeds), options);
  for (const NodeId id : visited_nodes(table)) {
    for (const ValueId v : table.graph->node(id).outputs) {
      if (v == kNone) continue;
      const std::string& name = table.graph->value(v).name;
      const auto a = masked.find(name), b = left.find(name);
      if (a == masked.end() || b == left.end() || !a->second.defined() || a->second.type() == DataType::string) continue;
      const double error = difference(at_kept(a->second, cut.kept[static_cast<size_t>(v)]), b->second);
      if (error > tolerance) return InnerDifference{id, name, error};
    }
  }
  return std::nullopt;
}

std::map<std::string, Tensor> random_feeds(const UnitTable& table, uint64_t seed) {
  std::map<std::string, Tensor> feeds;
  uint32_t stream = 0;
  for (const ValueId v : table.graph->inputs) {
    const UnitFact& fact = table.facts[static_cast<size_t>(v)];
    if (fact.constant || !fact.dims) continue;
    const Random random(seed, RandomUse::check_inputs, stream++);
    std::vector<double> values;
    for (int64_t i = 0; i < element_count(*fact.dims); ++i) {
      const auto at = static_cast<uint64_t>(i);
      values.push_back(is_float(fact.type) ? random.normal(at) : static_cast<double>(random.below(at, 2)));
    }
    feeds.emplace(table.graph->value(v).name, Tensor::of<double>(*fact.dims, values).cast(fact.type));
  }
  return feeds;
}

}  // namespace espalier
