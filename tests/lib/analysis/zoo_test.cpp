// Real models: inference runs through all of them, and the reference agrees with ONNX Runtime.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <set>

#include "lib/analysis/cost.h"
#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> models() {
  std::vector<fs::path> result;
  for (const char* folder : {"zoo", "zoo/light", "zoo/zuramai__mnist_external_data"}) {
    for (const auto& entry : fs::directory_iterator(shared_path(folder))) {
      if (entry.path().extension() == ".onnx") result.push_back(entry.path());
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// Inferred against declared, wherever both sizes are known: "output 'y' is float[1,10], declared float[1,12]".
std::string disagreement(const Graph& graph, const FactTable& facts, int& compared) {
  for (const ValueId v : graph.outputs) {
    const Type &declared = graph.value(v).type, &inferred = facts.type(v);
    const auto a = declared.known_dims(), b = inferred.known_dims();
    if (!a || !b) continue;
    ++compared;
    if (*a != *b) return "output '" + graph.value(v).name + "' is " + inferred.str() + ", declared " + declared.str();
  }
  return "";
}

TEST(Zoo, InferenceRunsThroughEveryModelAndAgreesWithDeclaredOutputs) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  int compared = 0;
  for (const fs::path& path : models()) {
    const Model model = load_model(path);
    try {
      const FactTable facts = infer(model.graph);
      EXPECT_EQ(disagreement(model.graph, facts, compared), "") << path.filename();
    } catch (const Error& e) {
      ADD_FAILURE() << path.filename() << ": " << e.what();
    }
  }
  EXPECT_GT(compared, 30);
}

TEST(Zoo, ADynamicBatchStaysSymbolicToTheLogits) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const char* name : {"alexis__mnist", "germanov__mnist", "vnncomp2021__marabou-cifar10__cifar10_large"}) {
    const Model model = load_model(shared_path("zoo/" + std::string(name) + ".onnx"));
    const FactTable facts = infer(model.graph);
    const Dim batch = facts.type(model.graph.inputs[0]).dims->front();
    const Type& logits = facts.type(model.graph.outputs[0]);
    ASSERT_TRUE(logits.has_rank()) << name;
    EXPECT_TRUE(batch.symbol_name().has_value()) << name;
    EXPECT_EQ(logits.dims->front(), batch) << name << " " << logits.str();
  }
}

TEST(Zoo, MacsOfAKnownModelAreCounted) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Model model = load_model(shared_path("zoo/germanov__mnist.onnx"));
  const FactTable facts = infer(model.graph, {.input_dims = {{"input", {1, 1, 28, 28}}}});
  const CostTotals totals = graph_cost(model.graph, facts);
  EXPECT_EQ(totals.params, 61706);
  EXPECT_TRUE(totals.opaque.empty() && totals.unsized.empty());
  // LeNet-5: 6x5x5 at 28x28, 16x6x5x5 at 10x10, 400x120, 120x84, 84x10.
  EXPECT_EQ(totals.macs, 117600 + 240000 + 48000 + 10080 + 840);
}

double scaled_error(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.to_doubles(), b = expected.to_doubles();
  double error = 0, scale = 1e-12;
  for (size_t i = 0; i < a.size(); ++i) {
    error = std::max(error, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return error / scale;
}

/// The 13 classifiers of the issue.
constexpr const char* kClassifiers[] = {
    "alexis__mnist", "burn__mnist", "germanov__mnist", "ort_examples__mnist_cntk", "whitematter__mnist_cnn",
    "vnncomp2021__cifar10_resnet__resnet_2b", "vnncomp2021__oval21__cifar_base_kw", "vnncomp2021__oval21__cifar_deep_kw",
    "vnncomp2021__marabou-cifar10__cifar10_large", "vnncomp2021__mnistfc__mnist-net_256x4",
    "vnncomp2021__verivital__Convnet_maxpool",
    "vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1", "vnncomp2022__cifar_biasfield__cifar_base"};

TEST(Zoo, TheReferenceAgreesWithOnnxRuntimeOnTheClassifiers) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const std::string python = python_with("numpy onnxruntime");
  if (python.empty()) GTEST_SKIP() << "no Python with onnxruntime (tools/check installs it)";
  for (const char* name : kClassifiers) {
    const fs::path path = shared_path("zoo/" + std::string(name) + ".onnx");
    const TemporaryFolder folder;
    const std::string command = "'" + python + "' '" + source_path("tests/lib/analysis/onnxruntime_data.py").string() +
                                "' '" + path.string() + "' '" + folder.path().string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0) << name;
    const Graph graph = load_model(path).graph;
    std::map<std::string, Tensor> feeds;
    for (size_t i = 0, file = 0; i < graph.inputs.size(); ++i) {  // initialised inputs are none to ONNX Runtime
      if (graph.initializer(graph.inputs[i])) continue;
      feeds[graph.value(graph.inputs[i]).name] = load_tensor(folder / ("input_" + std::to_string(file++) + ".pb"));
    }
    const auto made = run_reference(graph, feeds);
    const Tensor expected = load_tensor(folder / "output_0.pb");
    const Tensor& actual = made.at(graph.value(graph.outputs[0]).name);
    ASSERT_EQ(actual.dims(), expected.dims()) << name;
    EXPECT_LT(scaled_error(actual, expected), 1e-5) << name;
    EXPECT_LT(scaled_error(run_reference(graph, feeds, {.in_double = true}).begin()->second, expected), 1e-5) << name;
  }
}

}  // namespace
}  // namespace espalier::testing
