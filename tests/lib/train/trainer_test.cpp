#include "lib/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/train/evaluator.h"
#include "lib/train/gradients.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::shared_path;

constexpr char kMlp[] = R"(
  graph mlp (x: float[batch,4]) -> (p) opset 13 {
    w1: float[16,4] = fill(1)
    b1: float[16] = zeros
    w2: float[3,16] = fill(2)
    b2: float[3] = zeros
    h = Gemm(x, w1, b1) {transB = 1}
    r = Relu(h)
    l = Gemm(r, w2, b2) {transB = 1}
    p = Softmax(l) {axis = 1}
  })";

constexpr char kCnn[] = R"(
  graph cnn (x: float[batch,1,8,8]) -> (l) opset 13 {
    w1: float[8,1,3,3] = fill(1)
    s1: float[8] = ones
    o1: float[8] = zeros
    m1: float[8] = zeros
    v1: float[8] = ones
    w2: float[16,8,3,3] = fill(2)
    b2: float[16] = zeros
    w3: float[10,256] = fill(3)
    b3: float[10] = zeros
    c1 = Conv(x, w1) {kernel_shape = [3,3], pads = [1,1,1,1]}
    n1 = BatchNormalization(c1, s1, o1, m1, v1)
    r1 = Relu(n1)
    c2 = Conv(r1, w2, b2) {kernel_shape = [3,3], pads = [1,1,1,1]}
    r2 = Relu(c2)
    q = MaxPool(r2) {kernel_shape = [2,2], strides = [2,2]}
    f = Flatten(q)
    l = Gemm(f, w3, b3) {transB = 1}
  })";

/// Three clouds of points in four dimensions.
Dataset clouds(int64_t count, uint64_t seed) {
  Tensor x(DataType::float32, {count, 4}), y(DataType::int64, {count});
  const Random random(seed, RandomUse::test);
  for (int64_t i = 0; i < count; ++i) {
    y.mutable_data<int64_t>()[static_cast<size_t>(i)] = i % 3;
    for (int64_t k = 0; k < 4; ++k) {
      const auto at = static_cast<size_t>(i * 4 + k);
      x.mutable_data<float>()[at] = (k == i % 3 ? 2.0f : 0.0f) + 0.7f * random.normal(at);
    }
  }
  return make_dataset("clouds", {{"x", x}}, y);
}

TrainConfig quick() {
  TrainConfig config;
  config.epochs = 4;
  config.batch_size = 16;
  config.optimizer = "adam";
  config.learning_rate = 0.01;
  return config;
}

/// The values of all initialisers.
std::vector<Tensor> weights(const Graph& graph) {
  std::vector<Tensor> result;
  for (const auto& [id, initializer] : graph.initializers()) result.push_back(initializer.tensor);
  return result;
}

std::vector<float> wave(int64_t count, double seed, double scale) {
  std::vector<float> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(static_cast<float>(scale * std::sin(1.7 * static_cast<double>(i) + seed)));
  return result;
}

TEST(Train, LearnsClouds) {
  Graph model = parse_graph(kMlp);
  const Dataset train_data = clouds(300, 1), test = clouds(300, 2);
  const double before = evaluate(model, test, {}).top1;
  const TrainResult result = train(model, {&train_data, nullptr, nullptr}, quick());
  EXPECT_EQ(result.epochs.size(), 5u);
  EXPECT_EQ(result.trained_parameters, 16 * 4 + 16 + 3 * 16 + 3);
  EXPECT_EQ(result.steps, 4 * 17);  // 270 samples: 16 full batches and one of 14
  EXPECT_LT(result.epochs.back().train_loss, 0.6 * result.epochs[1].train_loss);
  const Metrics after = evaluate(model, test, {});
  EXPECT_GT(after.top1, before);
  EXPECT_GT(after.top1, 0.9);
  EXPECT_EQ(after.samples, 300);
  EXPECT_NO_THROW(verify(model));
}

TEST(Train, FollowsPyTorchStepByStep) {
  constexpr char text[] = R"(
    graph g (x: float[n,2,5,5]) -> (l) opset 15 {
      w: float[4,2,3,3] = zeros
      b: float[4] = zeros
      s: float[4] = ones
      o: float[4] = zeros
      m: float[4] = zeros
      v: float[4] = ones
      fw: float[3,100] = zeros
      fb: float[3] = zeros
      c = Conv(x, w, b) {kernel_shape = [3,3], pads = [1,1,1,1]}
      k = BatchNormalization(c, s, o, m, v)
      r = Relu(k)
      f = Flatten(r)
      l = Gemm(f, fw, fb) {transB = 1}
    })";
  Graph start = parse_graph(text);
  start.set_initializer(start.find_value("w"), Tensor::of<float>({4, 2, 3, 3}, wave(72, 1, 0.5)));
  start.set_initializer(start.find_value("b"), Tensor::of<float>({4}, wave(4, 2, 0.1)));
  start.set_initializer(start.find_value("fw"), Tensor::of<float>({3, 100}, wave(300, 3, 0.3)));
  start.set_initializer(start.find_value("fb"), Tensor::of<float>({3}, wave(3, 4, 0.1)));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 12; ++i) labels.push_back(i * 7 % 3);
  const Dataset data = make_dataset("wave", {{"x", Tensor::of<float>({12, 2, 5, 5}, wave(600, 5, 1))}}, Tensor::of<int64_t>({12}, labels));

  struct Case {
    const char* optimizer;
    double learning_rate, l2, weight_decay;
    double losses[5];
  };
  const Case cases[] = {  // from tests/golden/training.py
      {"sgd", 0.05, 0, 0, {1.649243, 1.166716, 1.081831, 1.057139, 1.041777}},
      {"momentum", 0.02, 0.01, 0, {1.649243, 1.408406, 1.142382, 1.091949, 1.169854}},
      {"adamw", 0.01, 0, 0.1, {1.649243, 1.239628, 1.059901, 1.076854, 1.124451}},
  };
  for (const Case& c : cases) {
    TrainConfig config;
    config.epochs = 5;
    config.batch_size = 12;
    config.schedule = "constant";
    config.optimizer = c.optimizer;
    config.learning_rate = c.learning_rate;
    config.l2 = c.l2;
    config.weight_decay = c.weight_decay;
    config.decay_vectors = true;
    Graph model = start;
    const TrainResult result = train(model, {&data, &data, nullptr}, config);
    for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(result.epochs[i + 1].train_loss, c.losses[i], 2e-4) << c.optimizer << " epoch " << i + 1;
  }
}

TEST(Train, GivesTheSameBitsForTheSameSeed) {
  const Dataset data = clouds(100, 1);
  std::vector<std::vector<Tensor>> results;
  for (const uint64_t seed : {7u, 7u, 8u}) {
    Graph model = parse_graph(kMlp);
    TrainConfig config = quick();
    config.seed = seed;
    train(model, {&data, nullptr, nullptr}, config);
    results.push_back(weights(model));
  }
  EXPECT_TRUE(results[0] == results[1]);
  EXPECT_FALSE(results[0] == results[2]);
}

TEST(Train, KeepsTheBestWeightsAndNeverEndsWorse) {
  const Dataset data = clouds(200, 1);
  Graph model = parse_graph(kMlp);
  train(model, {&data, nullptr, nullptr}, quick());
  Dataset wrong = data;
  for (int64_t& label : wrong.targets.mutable_data<int64_t>()) label = (label + 1) % 3;
  const std::vector<Tensor> good = weights(model);
  const TrainResult result = train(model, {&wrong, &data, nullptr}, quick());
  EXPECT_LT(result.epochs.back().validation.top1, result.best.top1);
  EXPECT_EQ(result.best_epoch, 0);
  EXPECT_TRUE(weights(model) == good);
}

TEST(Train, RecoversFromATeacherWithoutLabels) {
  const Dataset data = clouds(300, 1), test = clouds(300, 2);
  Graph teacher = parse_graph(kMlp);
  train(teacher, {&data, nullptr, nullptr}, quick());
  Dataset unlabelled = data;
  unlabelled.targets = {};
  Graph student = parse_graph(kMlp);
  student.set_initializer(student.find_value("w2"), Tensor::of<float>({3, 16}, wave(48, 9, 0.3)));
  TrainConfig config = quick();
  config.epochs = 8;
  const TrainResult result = train(student, {&unlabelled, &unlabelled, &teacher}, config);
  EXPECT_GT(result.best.agreement, 0.9);
  EXPECT_TRUE(std::isnan(result.best.top1));
  EXPECT_GT(evaluate(student, test, {}).top1, 0.9);
}

TEST(Train, TrainsOnFloatTargets) {
  Tensor x(DataType::float32, {200, 3}), y(DataType::float32, {200});
  const Random random(3, RandomUse::test);
  for (size_t i = 0; i < 200; ++i) {
    for (size_t k = 0; k < 3; ++k) x.mutable_data<float>()[3 * i + k] = random.normal(3 * i + k);
    const auto v = x.data<float>().subspan(3 * i, 3);
    y.mutable_data<float>()[i] = 2 * v[0] - v[1] + 0.5f;
  }
  const Dataset data = make_dataset("line", {{"x", x}}, y);
  Graph model = parse_graph("graph g (x: float[n,3]) -> (y) opset 13 { w: float[3,1] = fill(1) b: float[1] = zeros y = Gemm(x, w, b) }");
  TrainConfig config = quick();
  config.optimizer = "momentum";
  config.learning_rate = 0.05;
  config.epochs = 20;
  const TrainResult result = train(model, {&data, nullptr, nullptr}, config);
  EXPECT_LT(result.best.mse, 1e-3);
  EXPECT_NEAR(model.initializer(model.find_value("b"))->data<float>()[0], 0.5f, 0.02);
}

TEST(Train, WritesRunningStatisticsBackAndLeavesTheRest) {
  const Dataset data = make_dataset("d", {{"x", Tensor::of<float>({24, 1, 8, 8}, wave(24 * 64, 1, 2))}},
                                    Tensor::of<int64_t>({24}, std::vector<int64_t>(24, 1)));
  const Graph start = parse_graph(kCnn);
  Graph model = start;
  TrainConfig config = quick();
  config.epochs = 1;
  train(model, {&data, &data, nullptr}, config);
  const auto changed = [&](const char* name) {
    return !(*model.initializer(model.find_value(name)) == *start.initializer(start.find_value(name)));
  };
  for (const char* name : {"w1", "s1", "o1", "m1", "v1", "w2", "b2", "w3", "b3"}) EXPECT_TRUE(changed(name)) << name;
  EXPECT_EQ(model.nodes().size(), start.nodes().size());
  EXPECT_EQ(model.inputs.size(), 1u);

  model = start;
  config.freeze_batch_norm = true;
  config.groups = {{"^w[12]$", true, 1, 1}};
  train(model, {&data, &data, nullptr}, config);
  for (const char* name : {"w1", "m1", "v1", "w2"}) EXPECT_FALSE(changed(name)) << name;
  for (const char* name : {"s1", "w3"}) EXPECT_TRUE(changed(name)) << name;
}

TEST(Train, SaysWhereNumbersWentNonFinite) {
  const Dataset data = clouds(100, 1);
  Graph model = parse_graph(kMlp);
  const std::vector<Tensor> before = weights(model);
  TrainConfig config = quick();
  config.optimizer = "sgd";
  config.learning_rate = 1e30;
  EXPECT_THAT(error_of(ErrorKind::non_finite, [&] { train(model, {&data, nullptr, nullptr}, config); }), HasSubstr("(epoch 1)"));
  EXPECT_TRUE(weights(model) == before);
}

TEST(Train, StopsWhenAsked) {
  const Dataset data = clouds(100, 1);
  Graph model = parse_graph(kMlp);
  int64_t steps = 0;
  TrainEvents events;
  events.step = [&](const StepEvent& event) {
    ++steps;
    EXPECT_LE(event.samples, event.epoch_samples);
    EXPECT_TRUE(std::isfinite(event.loss));
  };
  events.stop = [&] { return steps == 3; };
  error_of(ErrorKind::interrupted, [&] { train(model, {&data, nullptr, nullptr}, quick(), events); });
  EXPECT_EQ(steps, 3);
}

TEST(Train, RefusesNonsense) {
  const Dataset data = clouds(100, 1);
  const auto refused = [&](ErrorKind kind, const std::function<void(TrainConfig&)>& change, const Dataset& with) {
    TrainConfig config = quick();
    change(config);
    Graph model = parse_graph(kMlp);
    return error_of(kind, [&] { train(model, {&with, nullptr, nullptr}, config); });
  };
  const auto usage = [&](const std::function<void(TrainConfig&)>& change) { return refused(ErrorKind::usage, change, data); };
  EXPECT_THAT(usage([](TrainConfig& c) { c.epochs = 0; }), HasSubstr("epochs is 0"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.batch_size = 0; }), HasSubstr("batch size is 0"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.learning_rate = -1; }), HasSubstr("learning rate is -1"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.learning_rate = std::nan(""); }), HasSubstr("learning rate is nan"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.l1 = -1; }), HasSubstr("l1 is -1"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.l2 = INFINITY; }), HasSubstr("l2 is inf"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.temperature = 0; }), HasSubstr("temperature is 0"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.teacher_weight = 2; }), HasSubstr("weight of the teacher is 2"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.optimizer = "adan"; }), HasSubstr("'adan'"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.schedule = "line"; }), HasSubstr("'line'"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.output = "q"; }), HasSubstr("no output 'q'"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.groups = {{"(", false, 1, 1}}; }), HasSubstr("not a regular expression"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.groups = {{".", true, 1, 1}}; }), HasSubstr("nothing to train"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.loss = LossKind::mse; }), HasSubstr("mse needs"));
  EXPECT_THAT(usage([](TrainConfig& c) { c.loss = LossKind::distillation; }), HasSubstr("teacher"));
  Dataset wrong = data;
  wrong.targets.mutable_data<int64_t>()[0] = 3;
  EXPECT_THAT(refused(ErrorKind::bad_data, [](TrainConfig&) {}, wrong), HasSubstr("row 0 is 3"));
}

TEST(GradientSizes, AreTheGradientsOfOneBatchByDifferences) {
  const Dataset data = clouds(24, 1);
  const Graph model = parse_graph(kMlp);
  TrainConfig config = quick();
  config.batch_size = 24;
  const auto sizes = gradient_sizes(model, {&data, nullptr, nullptr}, config, 5);
  ASSERT_EQ(sizes.size(), 4u);
  const ValueId w = model.find_value("w2");
  ASSERT_EQ(sizes.at("w2").dims(), (Dims{3, 16}));
  for (const size_t i : {0u, 17u, 40u}) {
    double loss[2];
    for (const int side : {0, 1}) {
      Graph moved = model;
      Tensor value = *moved.initializer(w);
      value.mutable_data<float>()[i] += side ? 1e-2f : -1e-2f;
      moved.set_initializer(w, value);
      loss[side] = evaluate(moved, data, {}).loss;
    }
    EXPECT_NEAR(sizes.at("w2").data<float>()[i], std::fabs(loss[1] - loss[0]) / 2e-2, 2e-4) << i;
  }
}

TEST(Train, LearnsTheSharedDigits) {
  if (!exists(shared_path("data"))) GTEST_SKIP() << "no shared data (set ESPALIER_SHARED)";
  const std::string file = shared_path("data/digits8x8.npz");
  const Dataset data = open_dataset(file + ":x=x_train,y=y_train"), test = open_dataset(file + ":x=x_test,y=y_test");
  Graph model = parse_graph(kCnn);
  TrainConfig config;
  config.epochs = 5;
  config.batch_size = 32;
  config.optimizer = "momentum";
  config.learning_rate = 0.02;
  config.preprocessing.scale = {1.0 / 16};
  const TrainResult result = train(model, {&data, nullptr, nullptr}, config);
  EvaluateOptions options;
  options.batch_size = 100;
  EXPECT_GT(evaluate(model, test, config.preprocessing, options).top1, 0.95);
  EXPECT_GT(result.best.top1, 0.95);
}

TEST(Train, LearnsTheSharedIris) {
  if (!exists(shared_path("data"))) GTEST_SKIP() << "no shared data (set ESPALIER_SHARED)";
  const std::string file = shared_path("data/iris.npz");
  const Dataset data = open_dataset(file + ":x=x_train,y=y_train"), test = open_dataset(file + ":x=x_test,y=y_test");
  Graph model = parse_graph(kMlp);
  TrainConfig config = quick();
  config.epochs = 60;
  config.preprocessing.mean = {5.84, 3.08, 3.76, 1.2};
  config.preprocessing.std = {0.82, 0.44, 1.77, 0.76};
  train(model, {&data, nullptr, nullptr}, config);
  EXPECT_GE(evaluate(model, test, config.preprocessing).top1, 0.9);
}

}  // namespace
}  // namespace espalier
