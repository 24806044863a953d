// Shape arithmetic, folding and trainable parameters on whole graphs.

#include <gtest/gtest.h>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/analysis/trainable.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

std::string type_of(const Graph& graph, const InferOptions& options = {}) {
  return infer(graph, options).type(graph.find_value("y")).str();
}

/// PyTorch's x.view(x.size(0), -1).
constexpr const char* kView = R"(
    graph view (x: float[batch,4,6]) -> (y) opset 13 {
      zero: int64[] = 0
      axes: int64[1] = {0}
      rest: int64[1] = {-1}
      shape = Shape(x)
      n = Gather(shape, zero)
      n1 = Unsqueeze(n, axes)
      target = Concat(n1, rest) {axis = 0}
      y = Reshape(x, target)
    })";

TEST(Symbolic, AViewByTheBatchKeepsTheBatchSymbol) { EXPECT_EQ(type_of(parse_graph(kView)), "float[batch,24]"); }

TEST(Symbolic, AGivenBatchMakesTheShapeArithmeticConstant) {
  const Graph graph = parse_graph(kView);
  const FactTable facts = infer(graph, {.input_dims = {{"x", {8, 4, 6}}}});
  ASSERT_NE(facts.constant(graph.find_value("target")), nullptr);
  EXPECT_EQ(facts.constant(graph.find_value("target"))->to_int64s(), (std::vector<int64_t>{8, -1}));
  EXPECT_EQ(facts.type(graph.find_value("y")).str(), "float[8,24]");
}

TEST(Symbolic, ArithmeticOnSizesIsExact) {
  const Graph graph = parse_graph(R"(
    graph window (x: float[batch,16,3]) -> (y) opset 13 {
      zero: int64[1] = {0}
      four: int64[1] = {4}
      rest: int64[2] = {4, 3}
      shape = Shape(x)
      n = Gather(shape, zero)
      windows = Mul(n, four)
      target = Concat(windows, rest) {axis = 0}
      y = Reshape(x, target)
    })");
  EXPECT_EQ(type_of(graph), "float[4*batch,4,3]");
}

TEST(Folding, ConstantsAreEvaluatedWithinTheBudget) {
  const Graph graph = parse_graph(R"(
    graph fold () -> (y) opset 13 {
      a: float[2,3] = iota
      b = Transpose(a)
      y = Concat(b, b) {axis = 1}
    })");
  const FactTable facts = infer(graph);
  const Tensor* y = facts.constant(graph.find_value("y"));
  ASSERT_NE(y, nullptr);
  EXPECT_EQ(*y, parse_tensor("float[3,4] {0, 3, 0, 3, 1, 4, 1, 4, 2, 5, 2, 5}"));
  EXPECT_EQ(infer(graph, {.fold_bytes_per_tensor = 40}).constant(graph.find_value("y")), nullptr);
  EXPECT_NE(infer(graph, {.fold_bytes_per_tensor = 40}).constant(graph.find_value("b")), nullptr);
  EXPECT_EQ(infer(graph, {.fold_bytes = 60}).constant(graph.find_value("y")), nullptr);
  EXPECT_EQ(infer(graph, {.fold_macs = 0}).constant(graph.find_value("b")), nullptr);
}

TEST(Folding, AHugeConstantOfShapeIsNotMade) {
  const Graph graph = parse_graph(R"(
    graph huge () -> (y) opset 13 {
      shape: int64[2] = {1048576, 1048576}
      y = ConstantOfShape(shape)
    })");
  const FactTable facts = infer(graph);
  EXPECT_EQ(facts.constant(graph.find_value("y")), nullptr);
  EXPECT_EQ(facts.type(graph.find_value("y")).str(), "float[1048576,1048576]");
}

TEST(Infer, ErrorsNameNodeAndOperator) {
  const Graph graph = parse_graph(R"(
    graph bad (x: float[2,3]) -> (y) opset 13 {
      pads: int64[3] = {1, 1, 1}
      "grow": y = Pad(x, pads)
    })");
  try {
    infer(graph);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "node 'grow' (Pad): has 3 pads, expected 4");
    EXPECT_EQ(e.kind(), ErrorKind::bad_data);
  }
}

TEST(Infer, OldFormsAreReadByTheVersionOfTheirNode) {
  EXPECT_EQ(type_of(parse_graph("graph g (x: float[n,1,3]) -> (y) opset 12 { y = Squeeze(x) {axes = [1]} }")), "float[n,3]");
  EXPECT_EQ(type_of(parse_graph("graph g (x: float[n,1,3]) -> (y) opset 13 { a: int64[1] = {1}\n y = Squeeze(x, a) }")), "float[n,3]");
}

TEST(Reference, DoubleModeKeepsDoublePrecisionThroughCasts) {
  const Graph graph = parse_graph(R"(
    graph third (x: float[1]) -> (y) opset 13 {
      three: float[1] = {3}
      q = Div(x, three)
      y = Cast(q) {to = 1}
    })");
  const Tensor one = Tensor::of<float>({1}, {1});
  EXPECT_EQ(run_reference(graph, {{"x", one}}).at("y").data<float>()[0], 1.0f / 3.0f);
  EXPECT_EQ(run_reference(graph, {{"x", one}}, {.in_double = true}).at("y").data<double>()[0], 1.0 / 3.0);
}

std::vector<std::string> trainable_names(const char* text) {
  const Graph graph = parse_graph(text);
  std::vector<std::string> names;
  for (const ValueId v : trainable_parameters(graph, infer(graph))) names.push_back(graph.value(v).name);
  return names;
}

using Names = std::vector<std::string>;

TEST(Trainable, WeightsAndBiasesAreButMeansAndVariancesAreNot) {
  EXPECT_EQ(trainable_names(R"(
    graph net (x: float[n,3,8,8]) -> (y) opset 13 {
      w: float[4,3,3,3] = fill(1)
      b: float[4] = zeros
      scale: float[4] = ones
      bias: float[4] = zeros
      mean: float[4] = zeros
      variance: float[4] = ones
      c = Conv(x, w, b)
      y = BatchNormalization(c, scale, bias, mean, variance)
    })"), (Names{"w", "b", "scale", "bias"}));
}

TEST(Trainable, AnAddAfterAMatMulIsABiasButAnEpsilonAndAMaskAreNot) {
  EXPECT_EQ(trainable_names(R"(
    graph net (x: float[n,4]) -> (y) opset 13 {
      w: float[4,3] = fill(1)
      b: float[3] = zeros
      epsilon: float[] = 1e-5
      mask: float[3] = {1, 0, 1}
      before: float[4] = {1, 2, 3, 4}
      after: float[3] = {1, 2, 3}
      shifted = Add(x, before)
      m = MatMul(shifted, w)
      biased = Add(m, b)
      safe = Add(biased, epsilon)
      masked = Mul(safe, mask)
      active = Relu(masked)
      y = Add(active, after)
    })"), (Names{"w", "b"}));
}

TEST(Trainable, AWeightIsFoundThroughIdentityTransposeAndConstantNodes) {
  EXPECT_EQ(trainable_names(R"(
    graph net (x: float[n,4]) -> (y) opset 13 {
      v = Constant() {value = float[3,4] {1,2,3,4,5,6,7,8,9,10,11,12}}
      i = Identity(v)
      w = Transpose(i)
      y = MatMul(x, w)
    })"), (Names{"v"}));
}

}  // namespace
}  // namespace espalier
