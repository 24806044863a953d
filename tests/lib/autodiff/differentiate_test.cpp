#include "lib/autodiff/differentiate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/graph/text.h"
#include "tests/lib/autodiff/gradient_check.h"
#include "tests/support/errors.h"

namespace espalier::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TrainingGraph differentiated(const std::string& text, const std::vector<std::string>& wanted, const std::string& loss = "loss") {
  const Graph graph = parse_graph(text);
  std::vector<ValueId> ids;
  for (const auto& name : wanted) ids.push_back(graph.find_value(name));
  return differentiate(graph, graph.find_value(loss), ids);
}

std::vector<std::string> op_types(const Graph& graph) {
  std::vector<std::string> result;
  for (const NodeId id : graph.nodes()) result.push_back(graph.node(id).op_type);
  return result;
}

const std::string kTwoConvs = R"(
  graph g (x: float[n,2,5,5], t: float[n,3,1,1]) -> (y) opset 17 {
    w1: float[4,2,3,3] = fill(1)
    w2: float[3,4,3,3] = fill(2)
    "conv1": a = Conv(x, w1)
    "relu": b = Relu(a)
    "conv2": y = Conv(b, w2)
    "loss": loss = ai.espalier::MeanSquaredError@1(y, t)
  })";

TEST(Differentiate, BuildsNoInputGradientOfTheFirstLayer) {
  const TrainingGraph g = differentiated(kTwoConvs, {"w1", "w2"});
  EXPECT_EQ(op_types(g.graph),
            (std::vector<std::string>{"Conv", "Relu", "Conv", "MeanSquaredError", "MeanSquaredErrorGrad", "ConvGradInput",
                                      "ConvGradWeight", "ReluGrad", "ConvGradWeight"}));
}

TEST(Differentiate, BuildsNothingThatReachesNoWantedValue) {
  const TrainingGraph g = differentiated(kTwoConvs, {"w2"});
  EXPECT_EQ(op_types(g.graph), (std::vector<std::string>{"Conv", "Relu", "Conv", "MeanSquaredError", "MeanSquaredErrorGrad",
                                                         "ConvGradWeight"}));
}

TEST(Differentiate, KeepsTheIdsOfTheForward) {
  const Graph forward = parse_graph(kTwoConvs);
  const TrainingGraph g = differentiated(kTwoConvs, {"w1", "w2"});
  for (size_t v = 0; v < forward.value_count(); ++v) {
    EXPECT_EQ(g.graph.value(static_cast<ValueId>(v)).name, forward.value(static_cast<ValueId>(v)).name);
  }
  for (const NodeId id : forward.nodes()) EXPECT_EQ(g.graph.node(id).name, forward.node(id).name);
}

TEST(Differentiate, BackwardNodesNameTheirForwardNode) {
  const TrainingGraph g = differentiated(kTwoConvs, {"w1", "w2"});
  for (const NodeId id : g.graph.nodes()) {
    const Node& node = g.graph.node(id);
    if (node.op_type == "ReluGrad") {
      ASSERT_NE(node.forward_of, kNone);
      EXPECT_EQ(g.graph.node(node.forward_of).name, "relu");
    }
  }
}

TEST(Differentiate, AddsLossAndGradientsToTheOutputs) {
  const TrainingGraph g = differentiated(kTwoConvs, {"w2", "w1"});
  ASSERT_EQ(g.gradients.size(), 2u);
  EXPECT_EQ(g.graph.value(g.gradients[0].param).name, "w2");
  EXPECT_EQ(g.graph.outputs, (std::vector<ValueId>{g.graph.find_value("y"), g.loss, g.gradients[0].grad, g.gradients[1].grad}));
}

TEST(Differentiate, ReluIsDifferentiatedFromItsOutput) {
  const TrainingGraph g = differentiated(kTwoConvs, {"w1"});
  for (const NodeId id : g.graph.nodes()) {
    if (g.graph.node(id).op_type != "ReluGrad") continue;
    EXPECT_EQ(g.graph.value(g.graph.node(id).inputs[0]).name, "b");
  }
}

TEST(Differentiate, SumsTheContributionsOfAResidual) {
  EXPECT_EQ(check_gradients(R"(graph g (x: float[n,4], w: float[4,4], v: float[4,4]) -> (y) {
    a = MatMul(x, w)
    b = Relu(a)
    c = MatMul(b, v)
    d = Add(a, c)
    y = Tanh(d)
  })"), "");
}

TEST(Differentiate, SumsTheContributionsOfASharedWeight) {
  EXPECT_EQ(check_gradients(R"(graph g (x: float[n,4], w: float[4,4]) -> (y) {
    a = MatMul(x, w)
    b = Sigmoid(a)
    c = MatMul(b, w)
    d = Tanh(c)
    e = MatMul(d, w)
    y = Add(e, d)
  })"), "");
}

TEST(Differentiate, SumsManyContributionsWithOneNode) {
  const TrainingGraph g = differentiated(R"(graph g (x: float[3]) -> (loss) {
    a = Neg(x)
    b = Exp(x)
    c = Mul(a, b)
    d = Mul(c, x)
    t: float[3] = zeros
    loss = ai.espalier::MeanSquaredError@1(d, t)
  })", {"x"});
  EXPECT_THAT(op_types(g.graph), Contains("Sum"));
}

TEST(Differentiate, LeavesOutWhatTheLossDoesNotDependOn) {
  const TrainingGraph g = differentiated(R"(graph g (x: float[3], u: float[3], t: float[3]) -> (loss) {
    a = Neg(x)
    b = Exp(u)
    loss = ai.espalier::MeanSquaredError@1(a, t)
  })", {"u", "x"});
  ASSERT_EQ(g.gradients.size(), 1u);
  EXPECT_EQ(g.graph.value(g.gradients[0].param).name, "x");
}

TEST(Differentiate, WantedMayBeAnInnerValue) {
  const TrainingGraph g = differentiated(kTwoConvs, {"b"});
  ASSERT_EQ(g.gradients.size(), 1u);
  EXPECT_THAT(op_types(g.graph), Not(Contains("ConvGradWeight")));
}

TEST(Differentiate, NamesAllNodesThatHaveNoGradient) {
  const std::string text = R"(graph g (x: float[n,4], t: float[n,4]) -> (loss) opset 17, com.acme 1 {
    w: float[4,4] = fill(1)
    a = MatMul(x, w)
    "first": b = com.acme::Swirl(a)
    "second": c = com.acme::Twirl(b)
    c: float[n,4]
    loss = ai.espalier::MeanSquaredError@1(c, t)
  })";
  EXPECT_EQ(error_of(ErrorKind::bad_data, [&] { differentiated(text, {"w"}); }), "cannot differentiate through node 'first' (Swirl), node 'second' (Twirl)");
}

TEST(Differentiate, AnOpaqueNodeBeforeTheWantedValuesIsNoHindrance) {
  const TrainingGraph g = differentiated(R"(graph g (x: float[n,4], t: float[n,4]) -> (loss) opset 17, com.acme 1 {
    w: float[4,4] = fill(1)
    a = com.acme::Swirl(x)
    b = MatMul(a, w)
    b: float[n,4]
    loss = ai.espalier::MeanSquaredError@1(b, t)
  })", {"t"});
  EXPECT_EQ(g.gradients.size(), 1u);
}

TEST(Differentiate, RefusesALossThatIsNoScalar) {
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { differentiated("graph g (x: float[3]) -> (y) { y = Neg(x) }", {"x"}, "y"); }),
              HasSubstr("expected one float element"));
}

TEST(Differentiate, AcceptsALossOfOneElement) {
  EXPECT_EQ(check_gradients("graph g (x: float[1,3], w: float[3,1]) -> (y) { y = MatMul(x, w) }", {.output_is_loss = true}), "");
}

TEST(Differentiate, NoGradientFlowsThroughIntegers) {
  const TrainingGraph g = differentiated(R"(graph g (x: float[2,3], t: float[2,3]) -> (loss) {
    s = Shape(x)
    a = Neg(x)
    b = Reshape(a, s)
    loss = ai.espalier::MeanSquaredError@1(b, t)
  })", {"x"});
  EXPECT_THAT(op_types(g.graph), Not(Contains("Cast")));
  EXPECT_EQ(g.gradients.size(), 1u);
}

TEST(Differentiate, AWantedConstantIsNotTakenForKnown) {
  // The bound of Clip comes from a value that is trained: its gradient would be wrong, so it is refused.
  const std::string text = R"(graph g (x: float[3], t: float[3]) -> (loss) {
    m: float[] = {1}
    a = Clip(x, _, m)
    loss = ai.espalier::MeanSquaredError@1(a, t)
  })";
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { differentiated(text, {"m"}); }), HasSubstr("bounds are not constant"));
}

}  // namespace
}  // namespace espalier::testing
