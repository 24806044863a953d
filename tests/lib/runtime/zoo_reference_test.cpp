// Real models: nothing runs by reference in plans with frozen weights, with weights of a store, or in training.
#include <gtest/gtest.h>

#include <iostream>

#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/runtime/plan.h"
#include "tests/support/zoo.h"

namespace espalier {
namespace {

using testing::zoo_models;

/// Steps by reference, as "Op 3 Other 1"; nothing for a plan in stages, which is compiled as it runs.
std::optional<std::string> slow_steps(const Graph& graph, const CompileOptions& options) {
  const bool integers = !is_float(infer(graph).type(graph.outputs.at(0)).elem_type);
  ParameterStore store;
  const Plan plan(graph, store, options);
  if (!plan.is_static()) return std::nullopt;
  std::map<std::string, int> slow;
  for (const StepProfile& step : plan.profile()) {
    const bool counts = step.op == "OneHot" || step.op == "ReduceSum";  // of integers: carvana's argmax, one-hot, a sum
    if (step.implementation == "reference" && !(counts && integers)) ++slow[step.op];
  }
  std::string text;
  for (const auto& [op, count] : slow) text += (text.empty() ? "" : " ") + op + " " + std::to_string(count);
  return text;
}

std::optional<Graph> training_graph(const Graph& graph) {
  Graph forward = to_training(graph, {});
  const ValueId logits = find_logits(forward, forward.outputs.at(0));
  if (forward.value(logits).type.elem_type != DataType::float32) return std::nullopt;
  LossTerm mse;
  mse.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(forward, logits, {.terms = {mse}}).loss;
  return differentiate(forward, loss, trainable_parameters(forward, infer(forward))).graph;
}

TEST(ZooReference, NoPlanNeedsIt) {
  const auto models = zoo_models("zoo");
  if (models.empty()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  int plans = 0, trained = 0;
  for (const auto& path : models) {
    const std::string file = path.filename().string();
    SCOPED_TRACE(file);
    const Graph graph = load_model(path).graph;
    if (!testing::all_ops_known(graph)) continue;
    CompileOptions options;
    options.input_shapes = testing::concrete_inputs(graph, 2);
    try {
      for (const bool frozen : {true, false}) {
        options.frozen = frozen;
        const auto slow = slow_steps(graph, options);
        if (!slow) continue;
        EXPECT_EQ(*slow, "") << (frozen ? "frozen" : "held");
        ++plans;
      }
      const auto training = training_graph(graph);
      if (!training) continue;
      options.input_shapes = testing::concrete_inputs(*training, 2);
      if (const auto slow = slow_steps(*training, options)) {
        EXPECT_EQ(*slow, "") << "training";
        ++trained;
      }
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::internal) << e.what();
      std::cout << "not compiled: " << file << ": " << e.what() << "\n";
    }
  }
  std::cout << plans << " plans of models, " << trained << " of their training\n";
  EXPECT_GE(plans, 70);
  EXPECT_GE(trained, 35);
}

}  // namespace
}  // namespace espalier
