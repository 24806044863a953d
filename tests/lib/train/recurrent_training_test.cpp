// Recurrent models of the zoo learn: after some steps on 256 samples the loss is below 0.9 of its first value.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/onnx_io/load.h"
#include "lib/train/trainer.h"
#include "lib/train/training_plan.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

using testing::shared_path;

constexpr int64_t kSamples = 256;

Tensor numbers(const Dims& dims, uint32_t stream) {
  Tensor result(DataType::float32, dims);
  const Random random(5, RandomUse::test, stream);
  auto values = result.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return result;
}

/// Float constants of the model with more than one element: what ought to be trained.
size_t float_weights(const Graph& graph) {
  size_t count = 0;
  for (const auto& [id, initializer] : graph.initializers()) {
    count += is_float(initializer.tensor.type()) && initializer.tensor.size() > 1 ? 1 : 0;
  }
  return count;
}

/// Steps this small gain nothing from threads, and a busy machine makes them wait at each.
struct OneThread {
  int before = thread_count();
  OneThread() { set_thread_count(1); }
  ~OneThread() { set_thread_count(before); }
};

/// Trains and expects the loss to fall and every weight to have moved.
void expect_learns(Graph model, const Dataset& data, LossKind loss, int64_t epochs, double learning_rate) {
  const OneThread one;
  TrainConfig config;
  config.epochs = epochs;
  config.batch_size = 32;
  config.optimizer = "adam";
  config.schedule = "constant";
  config.learning_rate = learning_rate;
  config.loss = loss;
  config.validation_fraction = 0.125;
  const Graph before = model;
  const LossSources sources{loss == LossKind::cross_entropy, loss == LossKind::mse, false};
  EXPECT_EQ(prepare_training(model, config, sources).trained.size(), float_weights(model)) << "every weight has a gradient";
  std::vector<double> losses;
  TrainEvents events;
  events.step = [&](const StepEvent& e) { losses.push_back(e.samples > config.batch_size ? losses.back() : e.loss); };
  const TrainResult result = train(model, {&data, nullptr, nullptr}, config, events);
  const double last = result.epochs.back().train_loss;
  std::cout << "loss " << losses.front() << " -> " << last << ", " << result.trained_parameters << " parameters\n";
  EXPECT_LT(last, 0.9 * losses.front());
  for (const auto& [id, initializer] : before.initializers()) {
    const bool weight = is_float(initializer.tensor.type()) && initializer.tensor.size() > 1;
    EXPECT_FALSE(weight && *model.initializer(id) == initializer.tensor) << before.value(id).name << " did not move";
  }
}

/// Masks of a spectrum, that follow neighbouring bins; the states are inputs too.
TEST(TrainRecurrent, Dtln) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const Tensor spectrum = numbers({kSamples, 1, 257}, 1), states = numbers({kSamples, 2, 128, 2}, 2);
  Tensor mask(DataType::float32, {kSamples, 1, 257});
  const auto in = spectrum.data<float>();
  auto out = mask.mutable_data<float>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = 1 / (1 + std::exp(-in[i] - in[i - i % 257]));
  const Dataset data = make_dataset("spectra", {{"input_2", spectrum}, {"input_3", states}}, mask);
  expect_learns(load_model(shared_path("zoo/dtln__model_1.onnx")).graph, data, LossKind::mse, 3, 2e-3);
}

/// Whether a byte starts a run of equal ones: needs the byte before, and the embedding.
TEST(TrainRecurrent, ByteLstmWithItsEmbedding) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  constexpr int64_t kLength = 12;
  const Random random(6, RandomUse::test);
  Tensor bytes(DataType::uint8, {kSamples, kLength}), scores(DataType::float32, {kSamples, kLength, 2});
  for (int64_t i = 0; i < kSamples * kLength; ++i) {
    bytes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(97 + random.below(static_cast<uint64_t>(i), 3));
    const bool same = i % kLength > 0 && bytes.data<uint8_t>()[i] == bytes.data<uint8_t>()[i - 1];
    scores.mutable_data<float>()[2 * i + (same ? 1 : 0)] = 1;
  }
  const Dataset data = make_dataset("bytes", {{"input", bytes}}, scores);
  expect_learns(load_model(shared_path("zoo/tract__byte_sb_bidi_lstm.onnx")).graph, data, LossKind::mse, 2, 2e-3);
}

/// The model has time first and the batch second: images are turned before it.
Graph rows_of_images(const Graph& lstm) {
  Graph graph = lstm;
  const ValueId x = graph.inputs[0];
  const ValueId images = graph.add_value("images", Type::tensor(DataType::float32, Dims{128, 28, 28}));
  Node turn;
  turn.op_type = "Transpose";
  turn.name = "turn";
  turn.version = graph.opset();
  turn.inputs = {images};
  turn.outputs = {x};
  turn.attributes = {{"perm", std::vector<int64_t>{1, 0, 2}, ""}};
  graph.inputs[0] = images;
  graph.add_node(std::move(turn), *graph.nodes().begin());
  return graph;
}

TEST(TrainRecurrent, LstmOnRowsOfMnist) {
  if (!exists(shared_path("data/mnist_train.npz"))) GTEST_SKIP() << "no shared data (set ESPALIER_SHARED)";
  const Dataset all = open_dataset(shared_path("data/mnist_train.npz").string());
  const Tensor& pixels = all.inputs[0].values;
  Tensor x(DataType::float32, {kSamples, 28, 28}), y(DataType::int64, {kSamples});
  for (int64_t i = 0; i < x.size(); ++i) x.mutable_data<float>()[i] = static_cast<float>(pixels.data<uint8_t>()[i]) / 255;
  for (int64_t i = 0; i < kSamples; ++i) y.mutable_data<int64_t>()[i] = all.targets.data<int64_t>()[i];
  const Dataset data = make_dataset("rows", {{"images", x}}, y);
  const Graph model = rows_of_images(load_model(shared_path("zoo/lemon__lstm.onnx")).graph);
  expect_learns(model, data, LossKind::cross_entropy, 8, 1e-2);
}

}  // namespace
}  // namespace espalier
