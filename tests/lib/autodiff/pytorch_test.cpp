// Losses and gradients of small nets over some steps of gradient descent, against PyTorch in double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <sstream>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/graph/text.h"
#include "tests/support/environment.h"
#include "tests/support/pytorch.h"

namespace espalier::testing {
namespace {

const char* const kResidual = R"(
  graph residual (x: float[n,2,5,5], w1: float[4,2,3,3], b1: float[4], s1: float[4], o1: float[4], w2: float[4,1,3,3], s2: float[4],
                  o2: float[4], w3: float[4,4,1,1], b3: float[4], w4: float[3,36], b4: float[3]) -> (y) {
    m: float[4] = zeros
    v: float[4] = ones
    a = Conv(x, w1, b1) {pads = [1,1,1,1]}
    b, m1, v1 = BatchNormalization(a, s1, o1, m, v) {training_mode = 1, epsilon = 0.0009765625}
    c = Relu(b)
    d = Conv(c, w2) {pads = [1,1,1,1], group = 4}
    e, m2, v2 = BatchNormalization(d, s2, o2, m, v) {training_mode = 1, epsilon = 0.0000152587890625}
    f = HardSwish(e)
    g = Add(c, f)
    h = MaxPool(g) {kernel_shape = [2,2], strides = [2,2], ceil_mode = 1}
    i = GlobalAveragePool(h)
    j = Conv(i, w3, b3)
    k = Sigmoid(j)
    l = Mul(h, k)
    q = Flatten(l)
    y = Gemm(q, w4, b4) {transB = 1}
  })";

const char* const kPlain = R"(
  graph plain (x: float[n,2,5,5], w1: float[3,2,3,3], b1: float[3], w2: float[6,3], b2: float[3]) -> (y) {
    four: float[] = {4}
    zero: float[] = {0}
    six: float[] = {6}
    a = Conv(x, w1, b1) {strides = [2,2], dilations = [2,2], pads = [2,2,2,2]}
    b = LeakyRelu(a) {alpha = 0.125}
    c = AveragePool(b) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], count_include_pad = 1}
    d = Tanh(c)
    e = Mul(c, four)
    f = Clip(e, zero, six)
    g = Concat(d, f) {axis = 1}
    h = ReduceMean(g) {axes = [2,3], keepdims = 0}
    i = MatMul(h, w2)
    y = Add(i, b2)
  })";

class Descent {
 public:
  Descent(const std::string& net, const char* text) : net_(net), graph_(parse_graph(text)) {
    set_thread_count(1);
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      const std::string name = graph_.value(graph_.inputs[i]).name;
      const bool is_data = i == 0;
      const Dims dims = is_data ? Dims{4, 2, 5, 5} : *graph_.value(graph_.inputs[i]).type.known_dims();
      feeds_[name] = pytorch_values(dims, is_data ? 99 : static_cast<int>(i) - 1);
      if (is_data) continue;
      wanted_.push_back(graph_.inputs[i]);
      if (name[0] != 's') continue;
      for (double& v : feeds_[name].mutable_data<double>()) v = 1 + 0.5 * v;
    }
    feeds_["labels"] = Tensor::of<int64_t>({4}, {0, 2, 1, 2});
    feeds_["teacher"] = pytorch_values({4, 3}, 50);
    feeds_["target"] = pytorch_values({4, 3}, 51);
  }

  Graph& graph() { return graph_; }

  void compare(ValueId loss, int steps, const PytorchNumbers& expected) {
    const TrainingGraph training = differentiate(graph_, loss, wanted_);
    std::map<std::string, Tensor> feeds;
    for (const ValueId id : training.graph.inputs) feeds[training.graph.value(id).name] = feeds_.at(training.graph.value(id).name);
    for (int step = 0; step < steps; ++step) {
      const auto out = run_reference(training.graph, feeds, {.in_double = true});
      expect_near("loss" + std::to_string(step), out.at(training.graph.value(loss).name), expected);
      for (const Gradient& g : training.gradients) {
        const std::string name = training.graph.value(g.param).name;
        const Tensor& grad = out.at(training.graph.value(g.grad).name);
        if (step == 0) expect_near(name, grad, expected);
        const auto to = feeds[name].mutable_data<double>();
        for (size_t i = 0; i < to.size(); ++i) to[i] -= 0.05 * grad.data<double>()[i];
      }
    }
  }

 private:
  void expect_near(const std::string& name, const Tensor& tensor, const PytorchNumbers& expected) const {
    const auto& numbers = expected.at(net_);
    const auto found = numbers.find(name);
    ASSERT_NE(found, numbers.end()) << net_ << " " << name;
    const auto ours = tensor.to_doubles();
    ASSERT_EQ(ours.size(), found->second.size()) << net_ << " " << name;
    for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], found->second[i], 1e-9) << net_ << " " << name << "[" << i << "]";
  }

  std::string net_;
  Graph graph_;
  std::vector<ValueId> wanted_;
  std::map<std::string, Tensor> feeds_;
};

ValueId loss_of(Graph& graph, LossTerm::Kind kind, float temperature = 1) {
  LossTerm term;
  term.kind = kind;
  term.temperature = temperature;
  return add_loss(graph, graph.find_value("y"), {.terms = {term}}).loss;
}

/// Mean over what is left when class 1 is ignored, classes weighed.
ValueId weighted_loss(Graph& graph) {
  const ValueId labels = graph.add_value("labels", Type::tensor(DataType::int64, SymbolicDims{Dim::symbol("n")}));
  graph.inputs.push_back(labels);
  const ValueId weights = graph.add_value("class_weights");
  graph.set_initializer(weights, Tensor::of<float>({3}, {0.5f, 1, 2}));
  const ValueId loss = graph.add_value("loss");
  Node node;
  node.op_type = "SoftmaxCrossEntropyLoss";
  node.version = 13;
  node.inputs = {graph.find_value("y"), labels, weights};
  node.outputs = {loss};
  node.attributes = {{"ignore_index", int64_t{1}, {}}};
  graph.add_node(std::move(node));
  return loss;
}

TEST(PyTorch, LossesAndGradientsAgree) {
  const std::string python = python_with("torch");
  if (python.empty()) GTEST_SKIP() << "no Python with torch (set ESPALIER_PYTHON)";
  const PytorchNumbers expected = run_pytorch(python, "pytorch_gradients.py");
  ASSERT_FALSE(expected.empty());
  using Kind = LossTerm::Kind;
  Descent residual("residual", kResidual), weighted("residual_weighted", kResidual), plain("plain", kPlain);
  Descent distilled("plain_distillation", kPlain), squared("plain_mse", kPlain);
  residual.compare(loss_of(residual.graph(), Kind::cross_entropy), 5, expected);
  weighted.compare(weighted_loss(weighted.graph()), 1, expected);
  plain.compare(loss_of(plain.graph(), Kind::cross_entropy), 5, expected);
  distilled.compare(loss_of(distilled.graph(), Kind::distillation, 2), 5, expected);
  squared.compare(loss_of(squared.graph(), Kind::mse), 5, expected);
}

}  // namespace
}  // namespace espalier::testing
