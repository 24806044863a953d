// The fast steps of LSTM, GRU and RNN, forward and through time, against their reference in double.
#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

struct Layer {
  std::string op;
  int64_t directions = 1, steps = 5, batch = 7, input = 9, hidden = 19;
  std::string attributes = {};
  bool batch_first = false, states = true;
};

std::string n(int64_t value) { return std::to_string(value); }

/// One layer over inputs; the loss sees Y and the last states.
std::string text_of(const Layer& l) {
  const int64_t gates = l.op == "LSTM" ? 4 : l.op == "GRU" ? 3 : 1;
  const std::string d = n(l.directions), rows = n(gates * l.hidden), h = n(l.hidden);
  const std::string states = (l.batch_first ? n(l.batch) + "," + d : d + "," + n(l.batch)) + "," + h;
  std::string inputs = "x: float[" + (l.batch_first ? n(l.batch) + "," + n(l.steps) : n(l.steps) + "," + n(l.batch)) + "," + n(l.input) + "]";
  inputs += ", w: float[" + d + "," + rows + "," + n(l.input) + "], r: float[" + d + "," + rows + "," + h + "], b: float[" + d + "," + n(2 * gates * l.hidden) + "]";
  std::string names = "x, w, r, b";
  if (l.states) {
    inputs += ", h0: float[" + states + "]" + (gates == 4 ? ", c0: float[" + states + "]" : "");
    names += std::string(", _, h0") + (gates == 4 ? ", c0" : "");
  }
  std::string attributes = "hidden_size = " + h;
  if (l.directions == 2) attributes += ", direction = \"bidirectional\"";
  if (l.batch_first) attributes += ", layout = 1";
  if (!l.attributes.empty()) attributes += ", " + l.attributes;
  const std::string outputs = gates == 4 ? "s, t, u" : "s, t", parts = gates == 4 ? "fs, ft, fu" : "fs, ft";
  return "graph g (" + inputs + ") -> (y) opset 17 { all: int64[1] = {-1}\n " + outputs + " = " + l.op + "(" + names + ") {" + attributes + "}\n fs = Reshape(s, all)\n ft = Reshape(t, all)\n " +
         (gates == 4 ? "fu = Reshape(u, all)\n " : "") + "y = Concat(" + parts + ") {axis = 0} }";
}

Tensor numbers(const Dims& dims, uint32_t stream, float scale) {
  Tensor result(DataType::float32, dims);
  const Random random(3, RandomUse::test, stream);
  auto values = result.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = scale * random.normal(i);
  return result;
}

void expect_close(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.dims(), expected.dims()) << what;
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double norm = 1e-20, error = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    norm += e[i] * e[i];
    error += (a[i] - e[i]) * (a[i] - e[i]);
  }
  EXPECT_LE(std::sqrt(error / norm), 1e-5) << what;
}

/// Expects the plan's Y, states and all gradients to be the reference's, with `fallbacks` steps by reference.
void check_layer(const Layer& layer, int64_t fallbacks = 0) {
  Graph graph = parse_graph(text_of(layer));
  SCOPED_TRACE(text_of(layer));
  std::map<std::string, Tensor> feeds;
  std::vector<ValueId> wanted = graph.inputs;
  for (const ValueId v : wanted) {
    const std::string& name = graph.value(v).name;
    const bool weight = name == "w" || name == "r";
    feeds[name] = numbers(*graph.value(v).type.known_dims(), static_cast<uint32_t>(v), weight ? 0.4f : 1.0f);
  }
  const ValueId target = graph.add_value("target");
  const Dims y = run_reference(graph, feeds).at("y").dims();
  graph.value(target).type = Type::tensor(DataType::float32, y);
  graph.inputs.push_back(target);
  feeds["target"] = numbers(y, 99, 1);
  const ValueId loss = graph.add_value("loss");
  Node node;
  node.op_type = "MeanSquaredError";
  node.domain = kInternalDomain;
  node.version = 1;
  node.inputs = {graph.outputs[0], target};
  node.outputs = {loss};
  graph.add_node(std::move(node));
  const TrainingGraph training = differentiate(graph, loss, wanted);
  ASSERT_EQ(training.gradients.size(), wanted.size());
  ParameterStore store;
  Plan plan(training.graph, store, {});
  EXPECT_EQ(plan.counters().fallback_steps, fallbacks);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  plan.run();  // what the first run left behind must not matter
  ReferenceOptions in_double;
  in_double.in_double = true;
  const auto expected = run_reference(training.graph, feeds, in_double);
  for (const ValueId v : training.graph.outputs) {
    const std::string& name = training.graph.value(v).name;
    expect_close(plan.output_tensor(name), expected.at(name), name);
  }
}

TEST(RecurrentPlan, LstmInAllDirectionsAndLayouts) {
  check_layer({.op = "LSTM"});
  check_layer({.op = "LSTM", .attributes = "direction = \"reverse\""});
  check_layer({.op = "LSTM", .directions = 2});
  check_layer({.op = "LSTM", .directions = 2, .batch_first = true});
  check_layer({.op = "LSTM", .directions = 2, .states = false});
}

TEST(RecurrentPlan, GruBeforeAndAfterTheReset) {
  for (const std::string before : {"linear_before_reset = 0", "linear_before_reset = 1"}) {
    check_layer({.op = "GRU", .attributes = before});
    check_layer({.op = "GRU", .attributes = before + ", direction = \"reverse\""});
    check_layer({.op = "GRU", .directions = 2, .attributes = before, .batch_first = true});
    check_layer({.op = "GRU", .directions = 2, .batch = 2, .attributes = before, .states = false});
  }
}

TEST(RecurrentPlan, Rnn) {
  check_layer({.op = "RNN"});
  check_layer({.op = "RNN", .attributes = "activations = [\"Relu\"], direction = \"reverse\""});
  check_layer({.op = "RNN", .directions = 2, .attributes = "activations = [\"Sigmoid\", \"Tanh\"]", .batch_first = true});
}

/// Single rows go through loops of ours, wide layers through the library.
TEST(RecurrentPlan, SmallAndLargeSizes) {
  check_layer({.op = "LSTM", .steps = 1, .batch = 1, .input = 257, .hidden = 128});
  check_layer({.op = "LSTM", .directions = 2, .steps = 3, .batch = 1, .input = 1, .hidden = 1});
  check_layer({.op = "LSTM", .steps = 9, .batch = 33, .input = 28, .hidden = 64});
  check_layer({.op = "GRU", .directions = 2, .steps = 33, .batch = 1, .input = 8, .hidden = 4, .attributes = "linear_before_reset = 1"});
  check_layer({.op = "GRU", .steps = 4, .batch = 20, .input = 70, .hidden = 130});
  check_layer({.op = "LSTM", .steps = 2, .batch = 6, .input = 5, .hidden = 260});
  check_layer({.op = "GRU", .steps = 3, .batch = 9, .input = 5, .hidden = 300, .attributes = "linear_before_reset = 1"});
  check_layer({.op = "LSTM", .directions = 2, .steps = 6, .batch = 5, .input = 3, .hidden = 23});
}

TEST(RecurrentPlan, KerasGatesAreFast) {
  check_layer({.op = "LSTM", .attributes = "activations = [\"HardSigmoid\", \"Tanh\", \"Relu\"]"});
  check_layer({.op = "GRU", .attributes = "activations = [\"HardSigmoid\", \"Relu\"], activation_alpha = [0.3]"});
}

TEST(RecurrentPlan, WhatTheLoopsLackRunsByReference) {
  check_layer({.op = "LSTM", .attributes = "clip = 0.7"}, 2);
  check_layer({.op = "LSTM", .attributes = "input_forget = 1"}, 2);
  check_layer({.op = "GRU", .attributes = "activations = [\"Sigmoid\", \"Softsign\"]"}, 2);
}

}  // namespace
}  // namespace espalier
