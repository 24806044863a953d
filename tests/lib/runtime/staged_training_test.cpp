// Training graphs with If: run in stages, gradients in the store, parameters read anew after an update.

#include <gtest/gtest.h>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/support/op_test.h"

namespace espalier::testing {
namespace {

const char* const kNet = R"(graph g (c: bool[], x: float[n,6]) -> (loss) opset 17 {
  w: float[6,8] = fill(1)
  v: float[8,3] = fill(2)
  u: float[8,3] = fill(3)
  b: float[3] = {1, 2, 3}
  h = MatMul(x, w)
  a = Relu(h)
  y = If(c) {then_branch = graph () -> (t) { m = MatMul(a, v)  t = Add(m, b) },
             else_branch = graph () -> (e) { k = MatMul(a, u)  e = Tanh(k) }}
  s = Mul(y, y)
  loss = ReduceMean(s) {keepdims = 0}
})";

Tensor input() {
  std::vector<float> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1f * static_cast<float>(i % 7) - 0.3f;
  return floats({4, 6}, values);
}

TEST(StagedTraining, WeightsThatBranchesReadAreTrainable) {
  const Graph g = parse_graph(kNet);
  std::vector<std::string> names;
  for (const ValueId v : trainable_parameters(g, infer(g))) names.push_back(g.value(v).name);
  EXPECT_EQ(names, (std::vector<std::string>{"w", "v", "b", "u"}));
}

TEST(StagedTraining, GivesTheGradientsOfTheReferenceAndFollowsUpdates) {
  const Graph g = parse_graph(kNet);
  const TrainingGraph training = differentiate(g, g.find_value("loss"), trainable_parameters(g, infer(g)));
  CompileOptions options;
  options.input_shapes = {{"x", {4, 6}}, {"c", {}}};
  for (const Gradient& grad : training.gradients) {
    options.gradients[training.graph.value(grad.grad).name] = training.graph.value(grad.param).name;
  }
  ParameterStore store;
  Plan plan(training.graph, store, options);
  EXPECT_FALSE(plan.is_static());
  ASSERT_EQ(store.trained().size(), 4u);
  Graph updated = training.graph;
  for (const bool c : {true, false, true}) {
    SCOPED_TRACE(c);
    const std::map<std::string, Tensor> feeds = {{"x", input()}, {"c", Tensor::scalar(c)}};
    for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
    plan.run();
    const auto expected = run_reference(updated, feeds);
    EXPECT_NEAR(plan.output_as<float>("loss")[0], expected.at("loss").data<float>()[0], 1e-4);
    for (auto& block : store.trained()) {
      const Tensor before = store.get(*block.name);
      for (int64_t i = 0; i < block.count; ++i) block.value[i] -= block.grad[i];
      Tensor moved = store.get(*block.name), difference = before;
      for (int64_t i = 0; i < before.size(); ++i) difference.mutable_data<float>()[i] -= moved.data<float>()[i];
      for (const Gradient& grad : training.gradients) {
        if (training.graph.value(grad.param).name != *block.name) continue;
        expect_near(difference, expected.at(training.graph.value(grad.grad).name), 1e-4);
      }
      updated.set_initializer(updated.find_value(*block.name), moved);
    }
    store.refresh();
  }
}

}  // namespace
}  // namespace espalier::testing
