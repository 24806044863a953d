#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/support/allocations.h"
#include "tests/support/nets.h"

namespace espalier {
namespace {

/// A net with cross-entropy, ready to compile.
struct Training {
  TrainingGraph training;
  CompileOptions options;

  Training(const std::string& text, const Dims& input) {
    Graph graph = to_training(parse_graph(text));
    const std::vector<ValueId> wanted = trainable_parameters(graph, infer(graph));
    const AddedLoss loss = add_loss(graph, graph.outputs[0], {{LossTerm{}}});
    training = differentiate(graph, loss.loss, wanted);
    options.input_shapes["x"] = input;
    options.input_shapes["labels"] = {input[0]};
    for (const Gradient& g : training.gradients) {
      options.gradients[training.graph.value(g.grad).name] = training.graph.value(g.param).name;
    }
  }
};

Tensor images(const Dims& dims) {
  Tensor x(DataType::float32, dims);
  const Random random(1, RandomUse::test);
  auto values = x.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return x;
}

Tensor labels(int64_t batch) {
  Tensor y(DataType::int64, {batch});
  for (int64_t i = 0; i < batch; ++i) y.mutable_data<int64_t>()[i] = i * 7 % 10;
  return y;
}

/// By the norm of the difference: single elements jump where rounding takes a Relu over its kink.
void expect_close(const Tensor& actual, const Tensor& expected, const std::string& what, double tolerance) {
  ASSERT_EQ(actual.dims(), expected.dims()) << what;
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double norm = 1e-12, error = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    norm += e[i] * e[i];
    error += (a[i] - e[i]) * (a[i] - e[i]);
  }
  EXPECT_LE(std::sqrt(error / norm), tolerance) << what << " of norm " << std::sqrt(norm);
}

/// An LSTM whose last states start a second one, and a GRU.
const char* const kRecurrent = R"(
  graph recurrent (x: float[batch,6,9]) -> (logits) opset 17 {
    w1: float[1,64,9] = fill(1)
    r1: float[1,64,16] = fill(2)
    b1: float[1,128] = fill(3)
    w2: float[1,64,16] = fill(4)
    r2: float[1,64,16] = fill(5)
    b2: float[1,128] = fill(6)
    w3: float[2,36,16] = fill(7)
    r3: float[2,36,12] = fill(8)
    b3: float[2,72] = fill(9)
    w4: float[24,10] = fill(10)
    flat: int64[3] = {0, 6, 16}
    s1, h1, c1 = LSTM(x, w1, r1, b1) {hidden_size = 16, layout = 1}
    x2 = Reshape(s1, flat)
    s2 = LSTM(x2, w2, r2, b2, _, h1, c1) {hidden_size = 16, layout = 1}
    x3 = Reshape(s2, flat)
    _, h3 = GRU(x3, w3, r3, b3) {hidden_size = 12, layout = 1, direction = "bidirectional", linear_before_reset = 1}
    q = Flatten(h3)
    logits = Gemm(q, w4)
  })";

class TrainingStep : public ::testing::TestWithParam<std::pair<std::string, Dims>> {
 protected:
  static std::string text(const std::string& net) {
    if (net == "resnet20") return resnet20_text();
    if (net == "lenet") return lenet_text();
    if (net == "recurrent") return kRecurrent;
    return mobilenet_v2_text(32, 10, 4);
  }
};

TEST_P(TrainingStep, GivesTheLossAndGradientsOfTheReference) {
  const auto& [net, dims] = GetParam();
  const Training t(text(net), dims);
  ParameterStore store;
  Plan plan(t.training.graph, store, t.options);
  plan.feed("x", images(dims));
  plan.feed("labels", labels(dims[0]));
  plan.run();

  ReferenceOptions in_double;
  in_double.in_double = true;
  const auto expected = run_reference(t.training.graph, {{"x", images(dims)}, {"labels", labels(dims[0])}}, in_double);
  const std::string loss = t.training.graph.value(t.training.loss).name;
  expect_close(plan.output_tensor(loss), expected.at(loss), "loss", 1e-5);
  const auto trained = store.trained();
  EXPECT_EQ(trained.size(), t.training.gradients.size());
  // Gradients are read through the store: a step of SGD with rate 1, then the difference.
  std::map<std::string, Tensor> before;
  for (const auto& block : trained) before[*block.name] = store.get(*block.name);
  for (const auto& block : trained) {
    for (int64_t i = 0; i < block.count; ++i) block.value[i] -= block.grad[i];
  }
  for (const Gradient& g : t.training.gradients) {
    const std::string name = t.training.graph.value(g.param).name;
    Tensor difference = before.at(name);
    const Tensor after = store.get(name);
    auto d = difference.mutable_data<float>();
    for (size_t i = 0; i < d.size(); ++i) d[i] -= after.data<float>()[i];
    const Tensor& wanted = expected.at(t.training.graph.value(g.grad).name);
    double largest = 0;
    for (const double v : wanted.to_doubles()) largest = std::max(largest, std::abs(v));
    if (largest > 1e-3) expect_close(difference, wanted, "gradient of " + name, 2e-3);
  }
}

TEST_P(TrainingStep, AllocatesCreatesAndReordersNothingFromTheSecondStepOn) {
  const auto& [net, dims] = GetParam();
  const Training t(text(net), dims);
  ParameterStore store;
  Plan plan(t.training.graph, store, t.options);
  EXPECT_EQ(plan.counters().inner_reorders, 0);
  EXPECT_EQ(plan.counters().fallback_steps, 0);
  plan.feed("x", images(dims));
  plan.feed("labels", labels(dims[0]));
  const auto step = [&](std::vector<ParameterBlock>& blocks) {
    plan.run();
    for (const ParameterBlock& b : blocks) {
      for (int64_t i = 0; i < b.count; ++i) b.value[i] -= 0.01f * b.grad[i];
    }
    store.refresh();
  };
  auto blocks = store.trained();
  step(blocks);
  const int64_t primitives = primitives_created();
  testing::start_counting_allocations();
  for (int i = 0; i < 3; ++i) step(blocks);
  EXPECT_EQ(testing::stop_counting_allocations(), 0);
  EXPECT_EQ(primitives_created(), primitives);
}

INSTANTIATE_TEST_SUITE_P(Nets, TrainingStep,
                         ::testing::Values(std::pair<std::string, Dims>{"lenet", {4, 1, 28, 28}},
                                         std::pair<std::string, Dims>{"recurrent", {8, 6, 9}},
                                         std::pair<std::string, Dims>{"resnet20", {4, 3, 32, 32}},
                                         std::pair<std::string, Dims>{"mobilenet", {4, 3, 32, 32}}),
                         [](const auto& test) { return test.param.first; });

}  // namespace
}  // namespace espalier
