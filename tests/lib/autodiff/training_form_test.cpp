#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/graph/text.h"
#include "tests/support/errors.h"

namespace espalier::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kNormalized = R"(
  graph g (x: float[n,2,2,2]) -> (y) opset 9 {
    s: float[2] = {1, 2}
    b: float[2] = {0, 1}
    m: float[2] = {0, 0}
    v: float[2] = {1, 1}
    "bn": y = BatchNormalization(x, s, b, m, v) {momentum = 0.8}
  })";

NodeId node_named(const Graph& graph, const std::string& name) {
  for (const NodeId id : graph.nodes()) {
    if (graph.node(id).name == name) return id;
  }
  return kNone;
}

TEST(ToTraining, BatchNormalizationUpdatesItsStatistics) {
  const Graph g = to_training(parse_graph(kNormalized));
  verify(g);
  const Node& bn = g.node(node_named(g, "bn"));
  EXPECT_EQ(bn.version, 15);
  EXPECT_EQ(bn.get<int64_t>("training_mode", 0), 1);
  ASSERT_EQ(bn.outputs.size(), 3u);
  ASSERT_EQ(g.state_pairs.size(), 2u);
  EXPECT_EQ(g.state_pairs[0].input, g.find_value("m"));
  EXPECT_EQ(g.state_pairs[0].output, bn.outputs[1]);
  EXPECT_EQ(g.state_pairs[1].input, g.find_value("v"));
  EXPECT_EQ(g.state_pairs[1].output, bn.outputs[2]);
  EXPECT_TRUE(g.is_output(bn.outputs[1]) && g.is_output(bn.outputs[2]));

  const Tensor x = Tensor::of<float>({1, 2, 2, 2}, {1, 2, 3, 4, 0, 0, 2, 2});
  const auto out = run_reference(g, {{"x", x}});
  const auto mean = out.at(g.value(bn.outputs[1]).name).to_doubles(), variance = out.at(g.value(bn.outputs[2]).name).to_doubles();
  EXPECT_NEAR(mean[0], 0.2 * 2.5, 1e-6);
  EXPECT_NEAR(mean[1], 0.2 * 1, 1e-6);
  EXPECT_NEAR(variance[0], 0.8 + 0.2 * 1.25, 1e-6);  // population variance
  EXPECT_NEAR(variance[1], 0.8 + 0.2 * 1, 1e-6);
}

TEST(ToTraining, FrozenBatchNormalizationStays) {
  const Graph g = to_training(parse_graph(kNormalized), {.batch_norm = ToTrainingOptions::BatchNorm::frozen});
  EXPECT_TRUE(g.state_pairs.empty());
  EXPECT_TRUE(same_graph(g, parse_graph(kNormalized)));
}

TEST(ToTraining, SharedStatisticsAreUnshared) {
  const Graph g = to_training(parse_graph(R"(graph g (x: float[n,2]) -> (y) {
    one: float[2] = ones
    zero: float[2] = zeros
    a = BatchNormalization(x, one, zero, zero, one)
    y = BatchNormalization(a, one, zero, zero, one)
  })"));
  verify(g);
  ASSERT_EQ(g.state_pairs.size(), 4u);
  std::set<ValueId> inputs;
  for (const StatePair& pair : g.state_pairs) {
    inputs.insert(pair.input);
    EXPECT_NE(g.initializer(pair.input), nullptr);
    EXPECT_EQ(g.users(pair.input).size(), 1u);
  }
  EXPECT_EQ(inputs.size(), 4u);
}

TEST(ToTraining, DropoutDrawsFromAStepCounter) {
  const Graph g = to_training(parse_graph(R"(graph g (x: float[n,100]) -> (y) opset 11 {
    "a": h = Dropout(x) {ratio = 0.5}
    "b": k = Dropout(x) {ratio = 0.25}
    y = Concat(h, k) {axis = 1}
  })"), {.seed = 3});
  verify(g);
  ASSERT_EQ(g.state_pairs.size(), 1u);
  const auto run = [&](int64_t step) {
    return run_reference(g, {{"x", Tensor::of<float>({1, 100}, std::vector<float>(100, 1))}, {"step", Tensor::scalar(step)}});
  };
  const auto first = run(0);
  EXPECT_EQ(first.at(g.value(g.state_pairs[0].output).name).to_int64s(), (std::vector<int64_t>{1}));
  EXPECT_EQ(first.at("y"), run(0).at("y"));
  EXPECT_FALSE(first.at("y") == run(1).at("y"));
  const auto y = first.at("y").to_doubles();
  EXPECT_NEAR(static_cast<double>(std::count(y.begin(), y.begin() + 100, 0.0)), 50, 20);
  EXPECT_NEAR(static_cast<double>(std::count(y.begin() + 100, y.end(), 0.0)), 25, 20);
  EXPECT_NEAR(*std::max_element(y.begin(), y.begin() + 100), 2, 1e-6);
  EXPECT_NEAR(*std::max_element(y.begin() + 100, y.end()), 4.0 / 3, 1e-6);
}

TEST(ToTraining, DropoutWhoseMaskIsReadStays) {
  const std::string text = "graph g (x: float[n,4]) -> (y, mask) opset 11 { y, mask = Dropout(x) }";
  EXPECT_TRUE(same_graph(to_training(parse_graph(text)), parse_graph(text)));
}

TEST(ToTraining, ConstantWeightsBecomeInitialisers) {
  const Graph before = parse_graph(R"(graph g (x: float[n,2]) -> (y) {
    w = Constant() {value = float[2,2] {1, 2, 3, 4}}
    y = MatMul(x, w)
  })");
  const Graph g = to_training(before);
  const ValueId w = before.find_value("w");
  ASSERT_NE(g.initializer(w), nullptr);
  EXPECT_EQ(g.initializer(w)->to_doubles(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(g.nodes().size(), 1u);
}

TEST(ToTraining, LearnsALine) {
  // y = 2 x + 1 from samples, by plain gradient descent on the graph: everything together.
  Graph g = to_training(parse_graph("graph g (x: float[n,1]) -> (y) { w: float[1,1] = {0}\n b: float[1] = {0}\n h = MatMul(x, w)\n y = Add(h, b) }"));
  LossTerm mse;
  mse.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(g, g.find_value("y"), {.terms = {mse}}).loss;
  const std::vector<ValueId> wanted = {g.find_value("w"), g.find_value("b")};
  TrainingGraph t = differentiate(g, loss, wanted);
  const Tensor x = Tensor::of<float>({4, 1}, {-1, 0, 1, 2}), target = Tensor::of<float>({4, 1}, {-1, 1, 3, 5});
  for (int step = 0; step < 200; ++step) {
    const auto out = run_reference(t.graph, {{"x", x}, {"target", target}});
    for (const Gradient& gradient : t.gradients) {
      Tensor value = *t.graph.initializer(gradient.param);
      value.mutable_data<float>()[0] -= 0.2f * static_cast<float>(out.at(t.graph.value(gradient.grad).name).to_doubles()[0]);
      t.graph.set_initializer(gradient.param, value);
    }
  }
  EXPECT_NEAR(t.graph.initializer(wanted[0])->to_doubles()[0], 2, 1e-4);
  EXPECT_NEAR(t.graph.initializer(wanted[1])->to_doubles()[0], 1, 1e-4);
}

TEST(FindLogits, IsWhatGoesIntoTheFinalSoftmax) {
  const Graph g = parse_graph("graph g (x: float[n,3]) -> (y, p) { z = Neg(x)\n s = Softmax(z)\n y = Identity(s)\n p = LogSoftmax(z) {axis = 1} }");
  EXPECT_EQ(find_logits(g, g.find_value("y")), g.find_value("z"));
  EXPECT_EQ(find_logits(g, g.find_value("p")), g.find_value("z"));
}

TEST(FindLogits, IsTheOutputWhereTheSoftmaxIsNotOverClasses) {
  const Graph g = parse_graph("graph g (x: float[n,3,4]) -> (y) { y = Softmax(x) {axis = 2} }");
  EXPECT_EQ(find_logits(g, g.find_value("y")), g.find_value("y"));
  const Graph h = parse_graph("graph g (x: float[n,3]) -> (y) { y = Relu(x) }");
  EXPECT_EQ(find_logits(h, h.find_value("y")), h.find_value("y"));
}

double loss_of(const Graph& g, const AddedLoss& loss, const std::map<std::string, Tensor>& feeds) {
  Graph with_loss = g;
  with_loss.outputs.push_back(loss.loss);
  return run_reference(with_loss, feeds).at(g.value(loss.loss).name).to_doubles().at(0);
}

TEST(AddLoss, CrossEntropyOfKnownProbabilities) {
  Graph g = parse_graph("graph g (x: float[n,3]) -> (x) { }");
  const AddedLoss loss = add_loss(g, g.find_value("x"), {.terms = {LossTerm{}}});
  ASSERT_EQ(loss.inputs.size(), 1u);
  EXPECT_EQ(g.value(loss.inputs[0]).name, "labels");
  EXPECT_EQ(g.value(loss.inputs[0]).type.str(), "int64[n]");
  const float a = std::log(0.2f), b = std::log(0.3f), c = std::log(0.5f);
  EXPECT_NEAR(loss_of(g, loss, {{"x", Tensor::of<float>({2, 3}, {a, b, c, a, b, c})}, {"labels", Tensor::of<int64_t>({2}, {2, 0})}}),
              -(std::log(0.5) + std::log(0.2)) / 2, 1e-6);
}

TEST(AddLoss, LogitsWithTrailingOnesAreFlattened) {
  Graph g = parse_graph("graph g (x: float[n,3,1,1]) -> (x) { }");
  const AddedLoss loss = add_loss(g, g.find_value("x"), {.terms = {LossTerm{}}});
  EXPECT_EQ(g.value(loss.inputs[0]).type.str(), "int64[n]");
  EXPECT_NEAR(loss_of(g, loss, {{"x", Tensor::of<float>({1, 3, 1, 1}, {0, 0, 0})}, {"labels", Tensor::of<int64_t>({1}, {2})}}), std::log(3), 1e-6);
}

TEST(AddLoss, DistillationIsZeroWhereTheTeacherAgrees) {
  Graph g = parse_graph("graph g (x: float[n,3]) -> (x) { }");
  LossTerm term;
  term.kind = LossTerm::Kind::distillation;
  term.temperature = 2;
  const AddedLoss loss = add_loss(g, g.find_value("x"), {.terms = {term}});
  const Tensor x = Tensor::of<float>({1, 3}, {1, 2, 3}), shifted = Tensor::of<float>({1, 3}, {2, 3, 4}), other = Tensor::of<float>({1, 3}, {3, 2, 1});
  EXPECT_NEAR(loss_of(g, loss, {{"x", x}, {"teacher", shifted}}), 0, 1e-6);
  // softmax((1,2,3)/2) = (0.18632, 0.30720, 0.50648); KL to its mirror image is (0.50648 - 0.18632) * 1 nat; times T^2.
  EXPECT_NEAR(loss_of(g, loss, {{"x", x}, {"teacher", other}}), 4 * (0.50648 - 0.18632), 1e-4);
}

TEST(AddLoss, TermsAreWeighedAndSummed) {
  Graph g = parse_graph("graph g (x: float[n,2]) -> (x) { }");
  LossTerm a, b;
  a.weight = 0.5f;
  b.kind = LossTerm::Kind::mse;
  b.weight = 3;
  const AddedLoss loss = add_loss(g, g.find_value("x"), {.terms = {a, b}});
  const double value = loss_of(g, loss, {{"x", Tensor::of<float>({1, 2}, {0, 0})}, {"labels", Tensor::of<int64_t>({1}, {1})},
                                         {"target", Tensor::of<float>({1, 2}, {1, 3})}});
  EXPECT_NEAR(value, 0.5 * std::log(2) + 3 * 5, 1e-5);
}

TEST(AddLoss, RefusesWhatIsNoLoss) {
  Graph g = parse_graph("graph g (x: float[n,2], v: float[n]) -> (x) { }");
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { add_loss(g, g.find_value("x"), {}); }), HasSubstr("at least one term"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { add_loss(g, g.find_value("v"), {.terms = {LossTerm{}}}); }), HasSubstr("expected [batch, classes, ...]"));
  LossTerm cold;
  cold.kind = LossTerm::Kind::distillation;
  cold.temperature = 0;
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { add_loss(g, g.find_value("x"), {.terms = {cold}}); }), HasSubstr("expected more than 0"));
}

}  // namespace
}  // namespace espalier::testing
