#include "lib/autodiff/to_training.h"

#include <algorithm>
#include <set>

#include "lib/analysis/infer.h"
#include "lib/analysis/run_seed.h"
#include "lib/analysis/trainable.h"
#include "lib/base/error.h"
#include "lib/ops/random_stream.h"

namespace espalier {
namespace {

constexpr int kBatchNormalizationVersion = 15;

bool is(const Node& node, std::string_view op_type) { return node.domain.empty() && node.op_type == op_type; }

std::vector<NodeId> nodes_of(const Graph& graph, std::string_view op_type) {
  std::vector<NodeId> result;
  for (const NodeId id : graph.nodes()) {
    if (is(graph.node(id), op_type)) result.push_back(id);
  }
  return result;
}

/// A constant that a Constant node makes becomes an initialiser under the same id.
void make_initializer(Graph& graph, ValueId id) {
  const NodeId producer = graph.producer(id);
  const Tensor* constant = graph.constant(id);
  if (producer == kNone || !constant) return;
  Tensor tensor = *constant;
  graph.erase_node(producer);
  graph.set_initializer(id, std::move(tensor));
}

void parameters_to_initializers(Graph& graph) {
  for (const ValueId id : trainable_parameters(graph, infer(graph))) make_initializer(graph, id);
  std::erase_if(graph.inputs, [&](ValueId id) { return graph.initializer(id) != nullptr; });
}

bool has_constant_statistics(const Graph& graph, const Node& node) {
  return node.has_input(3) && node.has_input(4) && node.has_output(0) && graph.constant(node.inputs[3]) &&
         graph.constant(node.inputs[4]) && node.get<int64_t>("spatial", 1) != 0;
}

/// The node's output for an updated statistic, made where it has none.
ValueId statistic_output(Graph& graph, const Node& node, size_t i) {
  if (node.has_output(i - 2)) return node.outputs[i - 2];
  return graph.add_value(graph.value(node.inputs[i]).name + "/next", graph.value(node.inputs[i]).type);
}

void train_batch_normalization(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (!has_constant_statistics(graph, node)) return;
  for (const size_t i : {3u, 4u}) make_initializer(graph, node.inputs[i]);
  graph.set_op_type(id, node.op_type, kBatchNormalizationVersion);
  graph.erase_attribute(id, "spatial");
  graph.set_attribute(id, "training_mode", int64_t{1});
  const ValueId mean = statistic_output(graph, node, 3), variance = statistic_output(graph, node, 4);
  graph.set_outputs(id, {node.outputs[0], mean, variance});
  for (const auto& [input, output] : {StatePair{node.inputs[3], mean}, StatePair{node.inputs[4], variance}}) {
    graph.outputs.push_back(output);
    graph.state_pairs.push_back({input, output});
  }
}

void freeze_batch_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.has_output(0)) return;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.has_output(i) && (!graph.users(node.outputs[i]).empty() || graph.is_output(node.outputs[i]))) return;
  }
  graph.set_outputs(id, {node.outputs[0]});
  if (node.has("training_mode")) graph.set_attribute(id, "training_mode", int64_t{0});
}

/// The ratio of a Dropout node; nothing where it is not known.
std::optional<float> dropout_ratio(const Graph& graph, const Node& node) {
  if (node.version < 12) return node.get<float>("ratio", 0.5f);
  if (!node.has_input(1)) return 0.5f;
  const Tensor* ratio = graph.constant(node.inputs[1]);
  if (!ratio || ratio->size() != 1) return std::nullopt;
  return static_cast<float>(ratio->to_doubles()[0]);
}

/// The counter of steps and the node that moves it on.
ValueId add_step(Graph& graph) {
  const ValueId step = graph.add_value("step", Type::tensor(DataType::int64, Dims{}));
  graph.set_initializer(step, Tensor::scalar<int64_t>(0));
  graph.inputs.push_back(step);
  const ValueId one = graph.add_value("step/one", Type::tensor(DataType::int64, Dims{}));
  graph.set_initializer(one, Tensor::scalar<int64_t>(1));
  Node add;
  add.op_type = "Add";
  add.name = "step/next";
  add.version = 14;
  add.inputs = {step, one};
  add.outputs = {graph.add_value("step/next", Type::tensor(DataType::int64, Dims{}))};
  const ValueId next = add.outputs[0];
  graph.add_node(std::move(add));
  graph.outputs.push_back(next);
  graph.state_pairs.push_back({step, next});
  return step;
}

/// The form with `inputs` that is ours, in place of the node.
void replace_by(Graph& graph, NodeId id, std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes) {
  const Node node = graph.node(id);
  Node training;
  training.op_type = std::move(op_type);
  training.name = node.name;
  training.domain = kInternalDomain;
  training.version = 1;
  training.inputs = std::move(inputs);
  training.attributes = std::move(attributes);
  training.outputs = {node.outputs[0]};
  graph.set_outputs(id, {kNone});
  graph.add_node(std::move(training), id);
  graph.erase_node(id);
}

void train_dropout(Graph& graph, uint64_t seed, ValueId& step) {
  int64_t count = 0;
  for (const NodeId id : nodes_of(graph, "Dropout")) {
    const Node node = graph.node(id);
    const auto ratio = dropout_ratio(graph, node);
    if (!ratio || !(*ratio > 0 && *ratio < 1)) continue;
    if (node.has_output(1) && (!graph.users(node.outputs[1]).empty() || graph.is_output(node.outputs[1]))) continue;
    if (step == kNone) step = add_step(graph);
    const int64_t own = node.get<int64_t>("seed", static_cast<int64_t>(seed));
    replace_by(graph, id, "DropoutTraining", {node.inputs[0], step}, {{"ratio", *ratio, {}}, {"seed", own, {}}, {"node", count++, {}}});
  }
}

/// Nodes that draw numbers draw others in each step.
void train_random(Graph& graph, uint64_t seed, ValueId& step) {
  set_run_seed(graph, seed);
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const Node node = graph.node(id);
    if (!node.domain.empty() || !node.has_output(0) || !draws_numbers(node) || !find_op(kInternalDomain, node.op_type)) continue;
    if (step == kNone) step = add_step(graph);
    std::vector<ValueId> inputs = node.inputs;
    inputs.push_back(step);
    replace_by(graph, id, node.op_type, std::move(inputs), node.attributes);
  }
}

bool is_class_softmax(const Graph& graph, const Node& node) {
  if (!is(node, "Softmax") && !is(node, "LogSoftmax")) return false;
  const int64_t axis = node.get<int64_t>("axis", node.version < 13 ? 1 : -1);
  if (axis == 1) return true;
  const Type type = infer(graph).type(node.inputs[0]);
  return axis < 0 && type.has_rank() && type.rank() + axis == 1;
}

}  // namespace

void unshare_running_statistics(Graph& graph) {
  std::set<ValueId> taken;
  for (const NodeId id : nodes_of(graph, "BatchNormalization")) {
    if (!has_constant_statistics(graph, graph.node(id))) continue;
    for (const size_t i : {3u, 4u}) {
      const ValueId old = graph.node(id).inputs[i];
      if (graph.users(old).size() == 1 && taken.insert(old).second) continue;
      const ValueId own = graph.add_value(graph.value(old).name, graph.value(old).type);
      graph.set_initializer(own, *graph.constant(old));
      graph.set_input(id, i, own);
      taken.insert(own);
    }
  }
}

Graph to_training(const Graph& graph, const ToTrainingOptions& options) {
  Graph result = graph;
  parameters_to_initializers(result);
  const bool batch = options.batch_norm == ToTrainingOptions::BatchNorm::batch;
  if (batch) unshare_running_statistics(result);
  for (const NodeId id : nodes_of(result, "BatchNormalization")) {
    if (batch) train_batch_normalization(result, id);
    else freeze_batch_normalization(result, id);
  }
  ValueId step = kNone;
  if (options.dropout) train_dropout(result, options.seed, step);
  if (options.random_steps) train_random(result, options.seed, step);
  if (step != kNone) result.opsets[std::string(kInternalDomain)] = 1;
  return result;
}

ValueId find_logits(const Graph& graph, ValueId output) {
  for (ValueId at = output;;) {
    const NodeId id = graph.producer(at);
    if (id == kNone) return output;
    const Node& node = graph.node(id);
    if (is_class_softmax(graph, node)) return node.inputs[0];
    const bool passes = (is(node, "Identity") || is(node, "Dropout")) && node.outputs[0] == at && node.has_input(0);
    if (!passes) return output;
    at = node.inputs[0];
  }
}

}  // namespace espalier
