// Losses, dropout and shared weights in plans: fast, and what the reference gives.
#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

/// Normal floats; integers cycle through 0, 1, 2, 3.
Tensor numbers(DataType type, const Dims& dims, uint32_t stream) {
  const Random random(5, RandomUse::test, stream);
  Tensor t(DataType::float32, dims);
  const auto to = t.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = is_float(type) ? random.normal(i) : static_cast<float>(i % 4);
  return t.cast(type);
}

/// The loss y and its gradients with respect to the graph's float inputs, against the reference in double.
/// `inner_reorders`: of gradients that are asked for in plain layout.
void expect_fast(const std::string& text, int64_t inner_reorders = 0) {
  SCOPED_TRACE(text);
  set_thread_count(2);
  const Graph forward = parse_graph(text);
  std::map<std::string, Tensor> feeds;
  std::vector<ValueId> wanted;
  for (const ValueId v : forward.inputs) {
    const Value& value = forward.value(v);
    feeds[value.name] = numbers(value.type.elem_type, *value.type.known_dims(), static_cast<uint32_t>(v));
    if (is_float(value.type.elem_type) && !value.name.starts_with("fixed")) wanted.push_back(v);
  }
  const TrainingGraph training = differentiate(forward, forward.outputs[0], wanted);
  const auto expected = run_reference(training.graph, feeds, {.in_double = true});
  ParameterStore store;
  Plan plan(training.graph, store, {});
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  for (int i = 0; i < 2; ++i) plan.run();
  for (const auto& [name, tensor] : expected) {
    const auto a = plan.output_tensor(name).to_doubles(), e = tensor.to_doubles();
    for (size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-5 * (1 + std::abs(e[i]))) << name << " " << i;
  }
  EXPECT_EQ(plan.counters().fallback_steps, 0);
  EXPECT_LE(plan.counters().inner_reorders, inner_reorders);
}

TEST(LossPlan, MeanSquaredError) {
  expect_fast("graph g (x: float[3,5000], fixed: float[3,5000]) -> (y) opset 17, ai.espalier 1 { y = ai.espalier::MeanSquaredError(x, fixed) }");
  expect_fast("graph g (x: float[], fixed: float[]) -> (y) opset 17, ai.espalier 1 { y = ai.espalier::MeanSquaredError(x, fixed) }");
}

TEST(LossPlan, MeanSquaredErrorOfAConvolutionStaysBlocked) {
  expect_fast(R"(graph g (x: float[2,3,6,7], w: float[20,3,3,3], fixed: float[2,20,4,5]) -> (y) opset 17, ai.espalier 1 {
    a = Conv(x, w)
    y = ai.espalier::MeanSquaredError(a, fixed)
  })", 2);
}

TEST(LossPlan, SoftTargets) {
  for (const std::string shape : {"7,10", "2,5,70", "3,4,2,9"}) {
    expect_fast("graph g (x: float[" + shape + "], fixed: float[" + shape + "]) -> (y) opset 17, ai.espalier 1 { y = ai.espalier::SoftTargetCrossEntropy(x, fixed) {temperature = 3.0} }");
  }
}

TEST(LossPlan, ClassLossesOfEveryForm) {
  for (const std::string op : {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}) {
    for (const std::string reduction : {"mean", "sum", "none"}) {
      for (const std::string ignore : {"", ", ignore_index = 3", ", ignore_index = -100"}) {
        for (const std::string weights : {"", ", fixed_w"}) {
          for (const auto& [scores, labels] : std::vector<std::pair<std::string, std::string>>{{"9,5", "9"}, {"2,5,70", "2,70"}, {"2,4,3,5", "2,3,5"}}) {
            const std::string loss = op + "(x, l" + weights + ") {reduction = \"" + reduction + "\"" + ignore + "}";
            const std::string end = reduction == "none" ? " t = " + loss + "\n y = ReduceSum(t) {keepdims = 0} }" : " y = " + loss + " }";
            expect_fast("graph g (x: float[" + scores + "], l: int64[" + labels + "], fixed_w: float[" + (scores == "2,4,3,5" ? "4" : "5") + "]) -> (y) opset 17, ai.espalier 1 {" + end);
          }
        }
      }
    }
  }
}

void expect_as_reference(const Graph& graph, const std::map<std::string, Tensor>& feeds, const std::string& output) {
  const auto expected = run_reference(graph, feeds);
  ParameterStore store;
  Plan plan(graph, store, {});
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  EXPECT_EQ(plan.counters().fallback_steps, 0);
  const auto a = plan.output_as<float>(output), e = expected.at(output).data<float>();
  for (size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-5 * (1 + std::abs(e[i])));
}

TEST(LossPlan, BothOutputsOfACrossEntropy) {
  const Graph graph = parse_graph("graph g (x: float[2,5,70], l: int32[2,70]) -> (y, p) opset 17, ai.espalier 1 { y, p = SoftmaxCrossEntropyLoss(x, l) }");
  const std::map<std::string, Tensor> feeds = {{"x", numbers(DataType::float32, {2, 5, 70}, 0)}, {"l", numbers(DataType::int32, {2, 70}, 1)}};
  expect_as_reference(graph, feeds, "p");
}

TEST(LossPlan, PaddingOfEveryMode) {
  for (const std::string mode : {"constant", "reflect", "edge", "wrap"}) {
    for (const std::string pads : {"{0, 0, 2, 3, 0, 0, 1, 2}", "{1, 0, 2, 0, 0, 2, 0, 0}", "{0, 0, -1, 2, 0, 0, 3, -1}"}) {
      expect_fast("graph g (x: float[2,3,5,4]) -> (y) opset 19 { p: int64[8] = " + pads + "\n a = Pad(x, p) {mode = \"" + mode + "\"}\n y = ReduceSumSquare(a) {keepdims = 0} }");
    }
  }
}

TEST(LossPlan, DropoutDrawsTheReferencesMask) {
  expect_fast("graph g (x: float[5,3,11], n: int64[], fixed: float[5,3,11]) -> (y) opset 17, ai.espalier 1 { t = ai.espalier::DropoutTraining(x, n) {ratio = 0.3, seed = 7, node = 2}\n y = ai.espalier::MeanSquaredError(t, fixed) }");
  expect_fast(R"(graph g (x: float[2,3,6,7], w: float[20,3,3,3], n: int64[], fixed: float[2,20,4,5]) -> (y) opset 17, ai.espalier 1 {
    a = Conv(x, w)
    t = ai.espalier::DropoutTraining(a, n) {ratio = 0.5, seed = 7, node = 2}
    y = ai.espalier::MeanSquaredError(t, fixed)
  })", 2);
}

/// Exporters share one weight by Identity: it stays a weight, without a step.
TEST(LossPlan, NamesAndViewsOfWeightsTakeNoStep) {
  const Graph graph = parse_graph(R"(graph g (x: float[2,20,6,7]) -> (y) opset 17, ai.espalier 1 {
    w: float[20,20,3,3] = fill(1)
    shape: int64[2] = {20, -1}
    b: float[20,140] = fill(2)
    w2 = Identity(w)
    w3 = Identity(w2)
    b0: float[5,4,140] = fill(3)
    b2 = Reshape(b0, shape)
    h = Conv(x, w) {pads = [1,1,1,1]}
    i = Conv(h, w3) {pads = [1,1,1,1]}
    flat: int64[2] = {2, -1}
    v = Reshape(i, flat)
    c: float[840,20] = fill(4)
    m = MatMul(v, c)
    n = MatMul(m, b2)
    y = Add(n, n)
  })");
  const std::map<std::string, Tensor> feeds = {{"x", numbers(DataType::float32, {2, 20, 6, 7}, 0)}};
  const auto expected = run_reference(graph, feeds);
  ParameterStore store;
  Plan plan(graph, store, {});
  plan.feed("x", feeds.at("x"));
  plan.run();
  EXPECT_EQ(plan.counters().fallback_steps, 0);
  EXPECT_EQ(plan.counters().inner_reorders, 0);
  const auto a = plan.output_as<float>("y"), e = expected.at("y").data<float>();
  double scale = 0;
  for (const float v : e) scale = std::max(scale, std::abs(static_cast<double>(v)));
  for (size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-5 * scale);
}

TEST(ChainPlan, ManyOperandsAndManyRegisters) {
  std::string inputs, sum, links;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "x" + std::to_string(i);
    inputs += (i ? ", " : "") + name + ": float[700]";
    sum += (i ? ", " : "") + name;
  }
  const Graph graph = parse_graph("graph g (" + inputs + ") -> (y) opset 17, ai.espalier 1 { s = Sum(" + sum + ")\n m = Max(" + sum + ")\n y = Mul(s, m) }");
  std::map<std::string, Tensor> feeds;
  for (const ValueId v : graph.inputs) feeds[graph.value(v).name] = numbers(DataType::float32, {700}, static_cast<uint32_t>(v));
  expect_as_reference(graph, feeds, "y");
}

}  // namespace
}  // namespace espalier
