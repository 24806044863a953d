// Numbers that nodes draw: the run's seed and their names make them, the same ones by plans and by `evaluate`.
#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/analysis/run_seed.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/to_training.h"
#include "lib/graph/text.h"
#include "lib/graph/graph.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

using Tensors = std::map<std::string, Tensor>;

const char* kDrawing = R"(graph g (x: float[3,4]) -> (normal, other, uniform, coin, like, between, class, dropped) opset 22 {
  one: float[] = {0.5}
  yes: bool[] = {1}
  normal = RandomNormal() {shape = [40]}
  other = RandomNormal() {shape = [40]}
  uniform = RandomUniform() {shape = [40]}
  like = RandomNormalLike(x)
  between = RandomUniformLike(x)
  half = Sigmoid(x)
  coin = Bernoulli(half)
  class = Multinomial(x) {sample_size = 20}
  dropped = Dropout(x, one, yes)
})";

Tensor ones(const Dims& dims) {
  Tensor x(DataType::float32, dims);
  for (float& v : x.mutable_data<float>()) v = 1;
  return x;
}

Tensors by_plan(const Graph& graph, const Tensors& feeds) {
  ParameterStore store;
  CompileOptions options;
  for (const auto& [name, tensor] : feeds) options.input_shapes[name] = tensor.dims();
  Plan plan(graph, store, options);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  Tensors result;
  for (const ValueId v : graph.outputs) result[graph.value(v).name] = plan.output_tensor(graph.value(v).name);
  return result;
}

Tensors drawn(const std::string& text, uint64_t seed, const Tensors& feeds = {{"x", ones({3, 4})}}) {
  Graph graph = parse_graph(text);
  set_run_seed(graph, seed);
  const Tensors reference = run_reference(graph, feeds), planned = by_plan(graph, feeds);
  for (const auto& [name, tensor] : reference) EXPECT_EQ(planned.at(name), tensor) << name;
  return reference;
}

TEST(RandomPlan, TheSeedOfTheRunMakesTheNumbers) {
  const Tensors five = drawn(kDrawing, 5), again = drawn(kDrawing, 5), six = drawn(kDrawing, 6);
  for (const auto& [name, tensor] : five) {
    EXPECT_EQ(again.at(name), tensor) << name;
    EXPECT_FALSE(six.at(name) == tensor) << name;
  }
  EXPECT_FALSE(five.at("normal") == five.at("other"));
}

TEST(RandomPlan, WithoutAWordTheSeedIsZero) {
  const Graph graph = parse_graph(kDrawing);
  const Tensors feeds = {{"x", ones({3, 4})}}, zero = drawn(kDrawing, 0), planned = by_plan(graph, feeds);
  for (const auto& [name, tensor] : run_reference(graph, feeds)) {
    EXPECT_EQ(zero.at(name), tensor) << name;
    EXPECT_EQ(planned.at(name), tensor) << name;
  }
}

TEST(RandomPlan, ASeedOfItsOwnWins) {
  const char* text = R"(graph g (x: float[3,4]) -> (a, b, c) opset 22 {
    one: float[] = {0.5}
    yes: bool[] = {1}
    a = RandomNormal() {shape = [40], seed = 3.0}
    b = RandomNormal() {shape = [40], seed = 4.0}
    c = Dropout(x, one, yes) {seed = 7}
  })";
  const Tensors five = drawn(text, 5), six = drawn(text, 6);
  for (const auto& [name, tensor] : five) EXPECT_EQ(six.at(name), tensor) << name;
  EXPECT_FALSE(five.at("a") == five.at("b"));
}

TEST(RandomPlan, NodesOfBodiesDrawToo) {
  const char* text = R"(graph g (yes: bool[]) -> (y, z) opset 22 {
    y = If(yes) {
      then_branch = graph a () -> (v) { v = RandomNormal() {shape = [8]} },
      else_branch = graph b () -> (v) { v = RandomNormal() {shape = [8]} }
    }
    z = If(yes) {
      then_branch = graph a () -> (v) { v = RandomNormal() {shape = [8]} },
      else_branch = graph b () -> (v) { v = RandomNormal() {shape = [8]} }
    }
  })";
  const Tensors yes = {{"yes", Tensor::scalar(true)}}, no = {{"yes", Tensor::scalar(false)}};
  const Tensors five = drawn(text, 5, yes), six = drawn(text, 6, yes), other = drawn(text, 5, no);
  EXPECT_FALSE(five.at("y") == five.at("z"));
  EXPECT_FALSE(five.at("y") == six.at("y"));
  EXPECT_FALSE(five.at("y") == other.at("y"));
}

TEST(RandomPlan, EachTrainingStepDrawsOthers) {
  const char* text = R"(graph g (x: float[n,3]) -> (loss) opset 22 {
    w: float[3,4] = ones
    h = MatMul(x, w)
    noise = RandomNormalLike(h) {scale = 0.1}
    y = Add(h, noise)
    z = RandomUniform() {shape = [4]}
    p = Mul(y, z)
    loss = ReduceMean(p) {keepdims = 0}
  })";
  Graph graph = to_training(parse_graph(text), {.seed = 3});
  verify(graph);
  ASSERT_EQ(graph.state_pairs.size(), 1u);
  const ValueId w = graph.find_value("w");
  const TrainingGraph training = differentiate(graph, graph.find_value("loss"), std::vector<ValueId>{w});
  ASSERT_EQ(training.gradients.size(), 1u);
  const std::string grad = training.graph.value(training.gradients[0].grad).name;
  const Graph other = to_training(parse_graph(text), {.seed = 4});
  ParameterStore store;
  CompileOptions options;
  options.input_shapes = {{"x", {5, 3}}};
  Graph outputs = training.graph;
  outputs.outputs = {outputs.find_value("loss"), training.gradients[0].grad, outputs.state_pairs[0].output};
  Plan plan(outputs, store, options);
  plan.feed("x", ones({5, 3}));
  std::vector<Tensor> losses;
  for (int64_t step = 0; step < 3; ++step) {
    plan.run();
    const Tensors feeds = {{"x", ones({5, 3})}, {"step", Tensor::scalar(step)}};
    const Tensors expected = run_reference(outputs, feeds);
    losses.push_back(plan.output_tensor("loss"));
    EXPECT_NEAR(losses.back().to_doubles()[0], expected.at("loss").to_doubles()[0], 1e-6) << step;
    const auto a = plan.output_tensor(grad).to_doubles(), e = expected.at(grad).to_doubles();
    for (size_t i = 0; i < e.size(); ++i) EXPECT_NEAR(a[i], e[i], 1e-6);
    EXPECT_FALSE(run_reference(other, feeds).at("loss") == expected.at("loss"));
    store.refresh();
  }
  EXPECT_FALSE(losses[0] == losses[1]);
  EXPECT_FALSE(losses[1] == losses[2]);
}

}  // namespace
}  // namespace espalier
