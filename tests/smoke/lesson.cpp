#include "tests/smoke/lesson.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/onnx_io/load.h"
#include "lib/train/feeder.h"
#include "lib/train/trainer.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

/// Steps this small gain little from threads, and a busy machine makes them wait at each.
struct OneThread {
  int before = thread_count();
  OneThread() { set_thread_count(1); }
  ~OneThread() { set_thread_count(before); }
};

std::set<NodeId> nodes_before(const Graph& graph, std::vector<ValueId> values) {
  std::set<NodeId> nodes;
  while (!values.empty()) {
    const NodeId producer = graph.producer(values.back());
    values.pop_back();
    if (producer == kNone || !nodes.insert(producer).second) continue;
    for (const ValueId v : graph.node(producer).inputs) {
      if (v != kNone) values.push_back(v);
    }
  }
  return nodes;
}

/// Names of the float constants of more than one element that the first output is calculated from. What moves with the
/// data (BatchNormalization's mean and variance) or is a size (Resize's scales) is no weight.
std::set<std::string> float_weights(const Graph& graph) {
  std::set<std::string> names;
  for (const NodeId id : nodes_before(graph, {graph.outputs.at(0)})) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.op_type == "BatchNormalization" && i >= 3) break;
      if (node.op_type == "Resize" && i >= 1) break;
      const Tensor* constant = node.inputs[i] == kNone ? nullptr : graph.constant(node.inputs[i]);
      if (constant && is_float(constant->type()) && constant->size() > 1) names.insert(graph.value(node.inputs[i]).name);
    }
  }
  return names;
}

std::vector<std::string> missing(const std::set<std::string>& wanted, const std::vector<std::string>& given) {
  std::vector<std::string> result;
  for (const std::string& name : wanted) {
    if (std::find(given.begin(), given.end(), name) == given.end()) result.push_back(name);
  }
  return result;
}

/// Names of the parameters whose gradient is zero on the first batch.
std::vector<std::string> without_gradient(const Graph& model, const TrainingSetup& setup, const Lesson& lesson, const TrainConfig& config) {
  Feeder feeder(model, nullptr, setup, lesson.data, config, false);
  ParameterStore store;
  BatchPlans plans(setup.training, store, feeder.sample_dims(), setup.options);
  Plan& plan = plans.plan(config.batch_size);
  feeder.start_epoch(1);
  feeder.fill(plan, 0);
  plan.run();
  std::vector<std::string> names;
  for (const ParameterBlock& block : store.trained()) {
    if (std::all_of(block.grad, block.grad + block.count, [](float g) { return g == 0; })) names.push_back(*block.name);
  }
  return names;
}

}  // namespace

void expect_learns(const Graph& model, const Lesson& lesson) {
  const OneThread one;
  ASSERT_EQ(lesson.data.size(), 256);
  TrainConfig config;
  config.epochs = lesson.epochs;
  config.batch_size = lesson.batch_size;
  config.optimizer = "adam";
  config.schedule = "constant";
  config.learning_rate = lesson.learning_rate;
  config.preprocessing = lesson.preprocessing;
  const TrainingSetup setup = prepare_training(model, config, loss_sources(lesson.data, false));
  std::set<std::string> weights = float_weights(model);
  for (const std::string& state : lesson.states) EXPECT_EQ(weights.erase(state), 1u) << state;
  EXPECT_EQ(missing(weights, setup.trained), std::vector<std::string>{}) << "weights that are not trained";
  EXPECT_EQ(without_gradient(model, setup, lesson, config), std::vector<std::string>{}) << "weights whose gradient is zero";

  double first = 0;
  TrainEvents events;
  events.step = [&](const StepEvent& e) {
    if (e.epoch == 1 && e.samples == config.batch_size) first = e.loss;
  };
  Graph trained = model;
  const Dataset validation = head(lesson.data, lesson.batch_size);
  const TrainResult result = train(trained, {&lesson.data, &validation, nullptr}, config, events);
  const double last = result.epochs.back().train_loss;
  std::cout << "  loss " << first << " -> " << last << " after " << result.steps << " steps; " << setup.trained.size() << " weights, "
            << result.trained_parameters << " elements\n";
  EXPECT_LT(last, 0.9 * first);
}

Graph zoo_model(const std::string& name) { return load_model(shared_path("zoo/" + name + ".onnx")).graph; }

Graph without_dead_nodes(Graph graph) {
  const std::set<NodeId> live = nodes_before(graph, graph.outputs);
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (auto id = nodes.rbegin(); id != nodes.rend(); ++id) {
    if (!live.contains(*id)) graph.erase_node(*id);
  }
  return graph;
}

Graph with_fixed_input(Graph graph, const std::string& input, Tensor values) {
  const ValueId v = graph.find_value(input);
  std::erase(graph.inputs, v);
  graph.set_initializer(v, std::move(values));
  return graph;
}

Graph with_samples_first(Graph graph, const std::string& input, std::vector<int64_t> perm) {
  const ValueId x = graph.find_value(input);
  const Dims dims = *graph.value(x).type.known_dims();
  Dims turned(dims.size());
  for (size_t i = 0; i < perm.size(); ++i) turned[static_cast<size_t>(perm[i])] = dims[i];
  const ValueId samples = graph.add_value(input + "/samples", Type::tensor(graph.value(x).type.elem_type, turned));
  std::replace(graph.inputs.begin(), graph.inputs.end(), x, samples);
  Node turn;
  turn.op_type = "Transpose";
  turn.name = input + "/turn";
  turn.version = graph.opset();
  turn.inputs = {samples};
  turn.outputs = {x};
  turn.attributes = {{"perm", std::move(perm), ""}};
  graph.add_node(std::move(turn), graph.nodes().front());
  return graph;
}

Tensor normals(const Dims& dims, uint32_t stream) {
  Tensor result(DataType::float32, dims);
  const Random random(5, RandomUse::test, stream);
  const auto values = result.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return result;
}

Dataset smooth_targets(const std::string& input, const Dims& x, const Dims& output) {
  const Tensor samples = normals(x, 1);
  Tensor targets(DataType::float32, output);
  const auto from = samples.data<float>();
  const auto to = targets.mutable_data<float>();
  const size_t count = static_cast<size_t>(x.at(0)), own = from.size() / count, each = to.size() / count;
  for (size_t i = 0; i < to.size(); ++i) to[i] = 0.3f + 0.2f * std::tanh(from[i / each * own + i % each * own / each]);
  return make_dataset("smooth targets", {{input, samples}}, targets);
}

Dataset loud_rows(const std::string& input, const Dims& x, int64_t classes) {
  Tensor samples = normals(x, 2), labels(DataType::int64, {x.at(0)});
  const int64_t width = x.back(), rows = x[x.size() - 2], each = samples.size() / x[0];
  const auto values = samples.mutable_data<float>();
  for (int64_t i = 0; i < samples.size(); ++i) {
    if (i / width % rows % classes == i / each % classes) values[static_cast<size_t>(i)] += 1;
  }
  for (int64_t i = 0; i < x[0]; ++i) labels.mutable_data<int64_t>()[static_cast<size_t>(i)] = i % classes;
  return make_dataset("loud rows", {{input, samples}}, labels);
}

Dataset images(const std::string& file) { return head(open_dataset(shared_path("data/" + file).string()), 256); }

}  // namespace espalier::testing
