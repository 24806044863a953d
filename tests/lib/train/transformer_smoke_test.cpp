// Real transformers and a residual net learn from 256 samples, and every one of their float weights gets a gradient.
#include <gtest/gtest.h>

#include <iostream>

#include "lib/analysis/trainable.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/autodiff/to_training.h"
#include "lib/onnx_io/load.h"
#include "lib/train/trainer.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

using testing::shared_path;

struct Case {
  const char* model;
  std::vector<double> std;
  double learning_rate;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.model; }

const Case kCases[] = {
    {"vnncomp2023__vit__ibp_3_3_8", {.2023, .1994, .2010}, 1e-3},
    {"deeploy__CCT_2_32_32_128_Opset20", {.2471, .2435, .2616}, 1e-3},
    {"vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1", {.2471, .2435, .2616}, 1e-3},
};

class TransformerSmoke : public ::testing::TestWithParam<Case> {};

TEST_P(TransformerSmoke, EveryWeightGetsAGradient) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  Graph graph = to_training(load_model(shared_path("zoo/" + std::string(GetParam().model) + ".onnx")).graph, {});
  LossTerm distance;
  distance.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(graph, find_logits(graph, graph.outputs.at(0)), {.terms = {distance}}).loss;
  const auto parameters = trainable_parameters(graph, infer(graph));
  EXPECT_GT(parameters.size(), 10u);
  EXPECT_EQ(differentiate(graph, loss, parameters).gradients.size(), parameters.size());
}

TEST_P(TransformerSmoke, LearnsFrom256Samples) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  Graph model = load_model(shared_path("zoo/" + std::string(GetParam().model) + ".onnx")).graph;
  const Dataset data = head(open_dataset(shared_path("data/cifar10_train_a.npz")), 256);
  TrainConfig config;
  config.epochs = 6;
  config.batch_size = 32;
  config.optimizer = "adam";
  config.learning_rate = GetParam().learning_rate;
  config.preprocessing = {{1.0 / 255}, {.4914, .4822, .4465}, GetParam().std, DataLayout::nhwc};
  const TrainResult result = train(model, {&data, nullptr, nullptr}, config);
  const double first = result.epochs.at(1).train_loss, last = result.epochs.back().train_loss;
  std::cout << GetParam().model << ": loss " << first << " -> " << last << "\n";
  EXPECT_LT(last, 0.9 * first);
}

INSTANTIATE_TEST_SUITE_P(Zoo, TransformerSmoke, ::testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = test.param.model;
  for (char& ch : name) {
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  }
  return name;
});

}  // namespace
}  // namespace espalier
