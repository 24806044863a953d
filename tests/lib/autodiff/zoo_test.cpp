// Real models: their training graphs are sound, and the gradient along a random direction is the measured one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/base/random.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;

const char* const kClassifiers[] = {"alexis__mnist",
                                    "burn__mnist",
                                    "germanov__mnist",
                                    "ort_examples__mnist_cntk",
                                    "whitematter__mnist_cnn",
                                    "vnncomp2021__cifar10_resnet__resnet_2b",
                                    "vnncomp2021__oval21__cifar_base_kw",
                                    "vnncomp2021__oval21__cifar_deep_kw",
                                    "vnncomp2021__marabou-cifar10__cifar10_large",
                                    "vnncomp2021__mnistfc__mnist-net_256x4",
                                    "vnncomp2021__verivital__Convnet_maxpool",
                                    "vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1",
                                    "vnncomp2022__cifar_biasfield__cifar_base"};

/// The model with a mean squared error on its first output, differentiated by all its parameters.
TrainingGraph train(const Graph& model, ToTrainingOptions::BatchNorm batch_norm) {
  Graph graph = to_training(model, {.batch_norm = batch_norm});
  LossTerm mse;
  mse.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(graph, find_logits(graph, graph.outputs.at(0)), {.terms = {mse}}).loss;
  const auto parameters = trainable_parameters(graph, infer(graph));
  TrainingGraph result = differentiate(graph, loss, parameters);
  verify(result.graph);
  infer(result.graph);
  return result;
}

Tensor random_tensor(const Dims& dims, uint32_t stream) {
  Tensor result(DataType::float64, dims);
  const auto out = result.mutable_data<double>();
  const Random random(3, RandomUse::test, stream);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(random.uniform(i)) - 0.5;
  return result;
}

std::map<std::string, Tensor> random_feeds(const Graph& graph) {
  std::map<std::string, Tensor> feeds;
  for (const ValueId id : graph.inputs) {
    const Value& value = graph.value(id);
    Dims dims;
    for (const Dim& d : *value.type.dims) dims.push_back(d.known() ? d.value() : 2);
    feeds[value.name] = random_tensor(dims, static_cast<uint32_t>(id));
  }
  return feeds;
}

double loss_at(const TrainingGraph& t, const std::map<std::string, Tensor>& feeds, const std::map<ValueId, Tensor>& direction, double by) {
  Graph moved = t.graph;
  moved.outputs = {t.loss};
  std::vector<NodeId> backward;
  for (const NodeId id : moved.nodes()) {
    if (moved.node(id).name.starts_with("grad/")) backward.push_back(id);
  }
  for (const NodeId id : backward) moved.erase_node(id);
  for (const auto& [id, d] : direction) {
    Tensor value = moved.initializer(id)->cast(DataType::float64);
    const auto to = value.mutable_data<double>();
    for (size_t i = 0; i < to.size(); ++i) to[i] += by * d.data<double>()[i];
    moved.set_initializer(id, value);
  }
  return run_reference(moved, feeds, {.in_double = true}).at(t.graph.value(t.loss).name).to_doubles().at(0);
}

TEST(Zoo, GradientsOfTheClassifiersAgreeWithDifferences) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const std::string name : kClassifiers) {
    SCOPED_TRACE(name);
    const TrainingGraph t = train(load_model(shared_path("zoo/" + name + ".onnx")).graph, ToTrainingOptions::BatchNorm::frozen);
    ASSERT_FALSE(t.gradients.empty());
    const auto feeds = random_feeds(t.graph);
    const auto out = run_reference(t.graph, feeds, {.in_double = true});
    std::map<ValueId, Tensor> direction;
    double built = 0;
    for (const Gradient& g : t.gradients) {
      const Tensor& grad = out.at(t.graph.value(g.grad).name);
      const Tensor d = random_tensor(grad.dims(), 1000 + static_cast<uint32_t>(g.param));
      for (int64_t i = 0; i < d.size(); ++i) built += d.data<double>()[i] * grad.data<double>()[i];
      direction[g.param] = d;
    }
    const double step = 1e-7;
    const double measured = (loss_at(t, feeds, direction, step) - loss_at(t, feeds, direction, -step)) / (2 * step);
    EXPECT_NEAR(built, measured, 1e-4 * (1 + std::abs(measured)));
  }
}

TEST(Zoo, ModelsThatCannotBeTrainedSayWhy) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  int trained = 0;
  for (const auto& entry : fs::directory_iterator(shared_path("zoo"))) {
    if (entry.path().extension() != ".onnx") continue;
    try {
      const TrainingGraph t = train(load_model(entry.path()).graph, ToTrainingOptions::BatchNorm::batch);
      trained += !t.gradients.empty();
      if (t.gradients.empty()) std::cout << "  " << entry.path().stem().string() << ": no parameters\n";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::bad_data) << entry.path() << ": " << e.what();
      std::cout << "  " << entry.path().stem().string() << ": " << std::string(e.what()).substr(0, 160) << "\n";
    }
  }
  EXPECT_GE(trained, 30);
}

}  // namespace
}  // namespace espalier::testing
