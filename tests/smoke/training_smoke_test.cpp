// Real graphs learn from 256 samples, and every float weight before their output has a gradient.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/train/training_plan.h"
#include "tests/smoke/lesson.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

class TrainingSmoke : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  }
};

Lesson cifar10(const std::vector<double>& std) {
  return {images("cifar10_train_a.npz"), 1e-3, 6, 32, {{1.0 / 255}, {.4914, .4822, .4465}, std, DataLayout::nhwc}};
}

TEST_F(TrainingSmoke, VisionTransformer) {
  expect_learns(zoo_model("vnncomp2023__vit__ibp_3_3_8"), cifar10({.2023, .1994, .2010}));
}

TEST_F(TrainingSmoke, CompactConvolutionalTransformer) {
  expect_learns(zoo_model("deeploy__CCT_2_32_32_128_Opset20"), cifar10({.2471, .2435, .2616}));
}

TEST_F(TrainingSmoke, ResidualNet) {
  expect_learns(zoo_model("vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1"), cifar10({.2471, .2435, .2616}));
}

/// Spoken commands, here a third of a second: its length is open.
TEST_F(TrainingSmoke, MatchboxNet) {
  expect_learns(zoo_model("rumeysa__matchboxnet_3x1x64"), {loud_rows("audio_signal", {256, 64, 32}, 4)});
}

/// Noise holds no text: where it finds some it learns not to. (Where it is sure of none, its Sigmoid passes no gradient.)
TEST_F(TrainingSmoke, OcrDetector) {
  const Dataset data = make_dataset("noise", {{"x", normals({256, 3, 32, 32}, 1)}}, Tensor(DataType::float32, {256, 1, 32, 32}));
  expect_learns(zoo_model("npm_gutenye__ch_PP-OCRv4_det"), {data});
}

TEST_F(TrainingSmoke, OcrClassifier) {
  expect_learns(zoo_model("npm_gutenye__ppocr_mobile_v2.0_cls"), {loud_rows("x", {256, 3, 48, 48}, 2)});
}

/// Its images are of one size.
TEST_F(TrainingSmoke, FastestDet) {
  Lesson lesson{smooth_targets("input.1", {256, 3, 352, 352}, {256, 85, 22, 22})};
  lesson.epochs = 1;
  lesson.batch_size = 4;
  expect_learns(zoo_model("fastestdet__FastestDet"), lesson);
}

/// Behind the scores stand Softmax, ArgMax and a count of pixels: the scores are what can be learned.
Graph carvana_scores() {
  Graph graph = zoo_model("vnncomp2022__carvana_unet_2022__unet_simp_small");
  for (const NodeId id : graph.nodes()) {
    if (graph.node(id).op_type == "Softmax") graph.outputs = {graph.node(id).inputs[0]};
  }
  return without_dead_nodes(std::move(graph));
}

TEST_F(TrainingSmoke, CarvanaUnet) {
  expect_learns(carvana_scores(), {smooth_targets("input", {256, 4, 31, 47}, {256, 47, 31, 2})});
}

/// Its own output is a count, through which no gradient flows.
TEST_F(TrainingSmoke, CarvanaUnetSaysWhatStopsItsCount) {
  Graph graph = zoo_model("vnncomp2022__carvana_unet_2022__unet_simp_small");
  const ValueId count = graph.add_value("count");
  graph.add_node({.op_type = "Cast", .inputs = graph.outputs, .outputs = {count}, .attributes = {{"to", int64_t{1}, ""}},
                  .name = "cast", .domain = "", .version = graph.opset(), .forward_of = kNone, .rest = {}});
  graph.outputs = {count};
  TrainConfig config;
  config.batch_size = 1;
  try {
    prepare_training(graph, config, {.values = true});
    FAIL() << "a count of pixels has gradients";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("(ArgMax)"));
  }
}

TEST_F(TrainingSmoke, ConditionalGan) {
  expect_learns(zoo_model("vnncomp2023__cgan__cGAN_imgSz32_nCh_1"), {smooth_targets("X", {256, 5}, {256, 1})});
}

/// A stream frame by frame, in the midst of it: what its caches hold is given. It indexes them by the number of the stream,
/// so a batch is one frame.
TEST_F(TrainingSmoke, Gtcrn) {
  Graph graph = zoo_model("gtcrn__gtcrn_simple");
  uint32_t stream = 10;
  for (const std::string cache : {"conv_cache", "tra_cache", "inter_cache"}) {
    graph = with_fixed_input(graph, cache, normals(*graph.value(graph.find_value(cache)).type.known_dims(), stream++));
  }
  graph.outputs.resize(1);
  Lesson lesson{smooth_targets("mix", {256, 257, 1, 2}, {256, 257, 1, 2})};
  lesson.batch_size = 1;
  lesson.states = {"conv_cache", "tra_cache", "inter_cache", "onnx::GRU_1296"};
  expect_learns(without_dead_nodes(std::move(graph)), lesson);
}

/// Masks of a spectrum that follow neighbouring bins; the states are inputs too.
TEST_F(TrainingSmoke, Dtln) {
  const Tensor spectrum = normals({256, 1, 257}, 1), states = normals({256, 2, 128, 2}, 2);
  Tensor mask(DataType::float32, spectrum.dims());
  const auto in = spectrum.data<float>();
  auto out = mask.mutable_data<float>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = 1 / (1 + std::exp(-in[i] - in[i - i % 257]));
  Graph graph = zoo_model("dtln__model_1");
  graph.outputs.resize(1);
  Lesson lesson{make_dataset("spectra", {{"input_2", spectrum}, {"input_3", states}}, mask)};
  lesson.epochs = 4;
  expect_learns(without_dead_nodes(std::move(graph)), lesson);
}

/// Whether a byte equals the one before: needs its neighbour, and the embedding.
TEST_F(TrainingSmoke, ByteLstmWithItsEmbedding) {
  constexpr int64_t kLength = 12;
  const Random random(6, RandomUse::test);
  Tensor bytes(DataType::uint8, {256, kLength}), scores(DataType::float32, {256, kLength, 2});
  const auto b = bytes.mutable_data<uint8_t>();
  for (size_t i = 0; i < b.size(); ++i) {
    b[i] = static_cast<uint8_t>(97 + random.below(i, 3));
    const bool same = i % kLength > 0 && b[i] == b[i - 1];
    scores.mutable_data<float>()[2 * i + (same ? 1 : 0)] = 1;
  }
  expect_learns(zoo_model("tract__byte_sb_bidi_lstm"), {make_dataset("bytes", {{"input", bytes}}, scores)});
}

/// Images row by row; the model has time first and the batch second.
TEST_F(TrainingSmoke, LstmOnRowsOfMnist) {
  Dataset data = images("mnist_train.npz");
  Dims rows = data.inputs[0].values.dims();
  rows = {rows[0], 28, 28};
  data.inputs[0] = {"input.1/samples", data.inputs[0].values.reshaped(rows)};
  Lesson lesson{data, 1e-2, 6};
  lesson.preprocessing.scale = {1.0 / 255};
  expect_learns(with_samples_first(zoo_model("lemon__lstm"), "input.1", {1, 0, 2}), lesson);
}

}  // namespace
}  // namespace espalier::testing
