#include <gtest/gtest.h>

#include "lib/onnx_io/load.h"
#include "lib/train/evaluator.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

using testing::shared_path;

struct Case {
  const char* model;
  const char* data;
  Preprocessing preprocessing;
  double top1;  ///< measured with ONNX Runtime on the whole test set (zoo/README.md)
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.model; }

const Preprocessing kRaw, kUnit{{1.0 / 255}, {}, {}, DataLayout::automatic};
const Preprocessing kMnist{{1.0 / 255}, {.1307}, {.3081}, DataLayout::automatic};

Preprocessing cifar(std::vector<double> mean, std::vector<double> std) {
  return {{1.0 / 255}, std::move(mean), std::move(std), DataLayout::nhwc};
}

const Case kCases[] = {
    {"alexis__mnist", "mnist_test", kMnist, .9920},
    {"burn__mnist", "mnist_test", kMnist, .9916},
    {"germanov__mnist", "mnist_test", kRaw, .9826},
    {"ort_examples__mnist_cntk", "mnist_test", kRaw, .9891},
    {"whitematter__mnist_cnn", "mnist_test", kMnist, .9753},
    {"vnncomp2021__cifar10_resnet__resnet_2b", "cifar10_test", cifar({.4914, .4822, .4465}, {.2471, .2435, .2616}), .6925},
    {"vnncomp2021__oval21__cifar_base_kw", "cifar10_test", cifar({.485, .456, .406}, {.225}), .5853},
    {"vnncomp2021__oval21__cifar_deep_kw", "cifar10_test", cifar({.485, .456, .406}, {.225}), .5531},
    {"vnncomp2021__marabou-cifar10__cifar10_large", "cifar10_test", {{1.0 / 255}, {}, {}, DataLayout::nhwc}, .7416},
    {"vnncomp2021__mnistfc__mnist-net_256x4", "mnist_test", kUnit, .9764},
    {"vnncomp2021__verivital__Convnet_maxpool", "mnist_test", kUnit, .9792},
    {"vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1", "cifar10_test", cifar({.4914, .4822, .4465}, {.2471, .2435, .2616}), .7989},
    {"vnncomp2022__cifar_biasfield__cifar_base", "cifar10_test", cifar({.485, .456, .406}, {.229, .224, .225}), .8499},
};

class ZooEvaluate : public ::testing::TestWithParam<Case> {};

TEST_P(ZooEvaluate, GivesTheAccuracyOfOnnxRuntime) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Case& c = GetParam();
  const Model model = load_model(shared_path("zoo/" + std::string(c.model) + ".onnx"));
  const Dataset data = open_dataset(shared_path("data/" + std::string(c.data) + ".npz"));
  EvaluateOptions options;
  options.batch_size = 64;
  EXPECT_NEAR(evaluate(model.graph, data, c.preprocessing, options).top1, c.top1, 0.0002 + 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Classifiers, ZooEvaluate, ::testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = test.param.model;
  for (char& ch : name) {
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  }
  return name;
});

}  // namespace
}  // namespace espalier
