#include "lib/train/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;

/// Parameters in memory of their own.
struct Parameters {
  std::vector<std::string> names;
  std::vector<Dims> dims;
  std::vector<std::vector<float>> values, grads;

  void add(std::vector<float> value) {
    names.push_back("p" + std::to_string(names.size()));
    dims.push_back({static_cast<int64_t>(value.size())});
    grads.emplace_back(value.size(), 0.0f);
    values.push_back(std::move(value));
  }
  std::vector<ParameterBlock> blocks() {
    std::vector<ParameterBlock> result;
    for (size_t i = 0; i < names.size(); ++i) {
      result.push_back({&names[i], &dims[i], values[i].data(), grads[i].data(), static_cast<int64_t>(values[i].size())});
    }
    return result;
  }
};

Optimizer optimizer_for(Parameters& parameters, const std::string& text, const Regularization& regularization = {}) {
  return {parse_optimizer(text), regularization, parameters.blocks(), std::vector<ParameterTuning>(parameters.names.size())};
}

constexpr float kGradients[3][4] = {{0.5f, -1.0f, 0.25f, 0.0f}, {-0.3f, 2.0f, 0.1f, 0.0f}, {0.2f, 0.4f, -3.0f, 0.0f}};

TEST(Optimizer, TakesTheStepsOfPyTorch) {
  struct Row {
    const char* optimizer;
    double learning_rate, l1, l2, weight_decay;
    float expected[4];
  };
  const Row rows[] = {  // from tests/golden/optimizers.py
      {"sgd", 0.1, 0, 0, 0, {0.96f, -2.14f, 0.765f, 0}},
      {"sgd", 0.1, 0, 0.2, 0, {0.902572f, -2.022344f, 0.736786f, 0}},
      {"sgd", 0.1, 0.3, 0, 0, {0.87f, -2.05f, 0.675f, 0}},
      {"momentum", 0.1, 0, 0, 0, {0.9015f, -2.149f, 0.71325f, 0}},
      {"momentum{mu=0.5}", 0.1, 0, 0.2, 0, {0.856472f, -2.000144f, 0.701236f, 0}},
      {"momentum{mu=0.9 averaged=1}", 0.1, 0, 0, 0, {0.99015f, -2.0149f, 0.521325f, 0}},
      {"nesterov", 0.1, 0, 0, 0, {0.87135f, -2.2741f, 0.956925f, 0}},
      {"adam", 0.1, 0, 0, 0, {0.8461075f, -1.975723f, 0.367565f, 0}},
      {"adam{beta1=0.8 beta2=0.9 eps=0.01}", 0.1, 0, 0.2, 0, {0.7879544f, -1.932874f, 0.3709937f, 0}},
      {"adam{correct=0}", 0.01, 0, 0, 0, {0.9430409f, -2.003297f, 0.458617f, 0}},
      {"adamw", 0.1, 0, 0, 0.2, {0.7916425f, -1.861335f, 0.3439182f, 0}},
      {"adagrad", 0.1, 0, 0, 0, {0.9190053f, -2.007052f, 0.4624605f, 0}},
      {"rmsprop", 0.01, 0, 0, 0, {0.9189418f, -2.007244f, 0.4623069f, 0}},
      {"rmsprop{alpha=0.9 mu=0.9}", 0.01, 0, 0, 0, {0.9352984f, -1.974505f, 0.4224776f, 0}},
  };
  for (const Row& row : rows) {
    Parameters p;
    p.add({1, -2, 0.5f, 0});
    Optimizer optimizer = optimizer_for(p, row.optimizer, {row.l1, row.l2, row.weight_decay});
    for (const auto& g : kGradients) {
      p.grads[0].assign(g, g + 4);
      optimizer.step(row.learning_rate);
    }
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(p.values[0][i], row.expected[i], 2e-6) << row.optimizer << " weight " << i;
  }
}

TEST(Optimizer, FirstStepsByHand) {
  const auto first = [](const std::string& text, double learning_rate) {
    Parameters p;
    p.add({1});
    p.grads[0][0] = 0.5f;
    optimizer_for(p, text).step(learning_rate);
    return p.values[0][0];
  };
  EXPECT_FLOAT_EQ(first("sgd", 0.1), 0.95f);
  EXPECT_FLOAT_EQ(first("momentum", 0.1), 0.95f);
  EXPECT_FLOAT_EQ(first("momentum{averaged=1}", 0.1), 0.995f);
  EXPECT_FLOAT_EQ(first("nesterov", 0.1), 1 - 0.1f * (0.5f + 0.9f * 0.5f));
  EXPECT_NEAR(first("adam", 0.1), 0.9f, 1e-6);  // a first step of lr, whatever the gradient
  EXPECT_NEAR(first("adam{correct=0}", 0.1), 1 - 0.1 * 0.05 / std::sqrt(0.001 * 0.25), 1e-6);
  EXPECT_NEAR(first("adagrad", 0.1), 0.9f, 1e-6);
  EXPECT_NEAR(first("rmsprop", 0.1), 1 - 0.1 * 0.5 / std::sqrt(0.01 * 0.25), 1e-5);
}

TEST(Optimizer, EveryRuleKeepsZeroWhereParameterAndGradientAreZero) {
  for (const OptimizerRule* rule : all_optimizer_rules()) {
    EXPECT_TRUE(rule->elementwise);
    Parameters p;
    p.add({0, 1, 0, -1, 0});
    Optimizer optimizer = optimizer_for(p, std::string(rule->name), {0.1, 0.1, 0.1});
    for (int step = 0; step < 20; ++step) {
      p.grads[0] = {0, 0.3f, 0, -0.2f, 0};
      optimizer.step(0.1, 0.01);
    }
    for (const size_t i : {0u, 2u, 4u}) EXPECT_EQ(p.values[0][i], 0.0f) << rule->name;
    for (const size_t i : {1u, 3u}) EXPECT_TRUE(std::isfinite(p.values[0][i])) << rule->name;
  }
}

TEST(Optimizer, EveryRuleGoesDownhill) {
  for (const OptimizerRule* rule : all_optimizer_rules()) {
    Parameters p;
    p.add({3, -2});
    Optimizer optimizer = optimizer_for(p, std::string(rule->name));
    for (int step = 0; step < 2000; ++step) {
      for (size_t i = 0; i < 2; ++i) p.grads[0][i] = 2 * p.values[0][i];  // of x^2
      optimizer.step(rule == &find_optimizer_rule("adagrad") ? 0.3 : 0.01);
    }
    EXPECT_LT(std::hypot(p.values[0][0], p.values[0][1]), 0.1) << rule->name;
  }
}

TEST(Optimizer, ClipsTheNormOfAllGradientsTogether) {
  Parameters p;
  p.add({0});
  p.add({0});
  p.grads[0][0] = 3;
  p.grads[1][0] = 4;
  Optimizer optimizer = optimizer_for(p, "sgd");
  EXPECT_DOUBLE_EQ(optimizer.step(1, 2.5), 5);
  EXPECT_FLOAT_EQ(p.values[0][0], -1.5f);
  EXPECT_FLOAT_EQ(p.values[1][0], -2.0f);
  EXPECT_DOUBLE_EQ(optimizer.step(1, 10), 5);  // below the limit: unchanged
  EXPECT_FLOAT_EQ(p.values[0][0], -4.5f);
  EXPECT_TRUE(std::isnan(optimizer.step(1)));
  p.grads[0][0] = std::nanf("");
  EXPECT_TRUE(std::isnan(optimizer.step(1, 1)));
  EXPECT_FLOAT_EQ(p.values[1][0], -2.0f - 4 - 4);  // nothing moved
}

TEST(Optimizer, TunesParameters) {
  Parameters p;
  p.add({1});
  p.add({1});
  p.grads[0][0] = p.grads[1][0] = 1;
  Optimizer optimizer(parse_optimizer("sgd"), {0, 0.5, 0.1}, p.blocks(), {{0.5, 1}, {1, 0}});
  optimizer.step(0.1);
  EXPECT_FLOAT_EQ(p.values[0][0], 1 * (1 - 0.05f * 0.1f) - 0.05f * 1.5f);
  EXPECT_FLOAT_EQ(p.values[1][0], 0.9f);
}

TEST(Optimizer, GivesTheSameBitsAtAnyThreadCount) {
  const int threads = thread_count();
  std::vector<std::vector<float>> results;
  for (const int count : {1, 3}) {
    set_thread_count(count);
    Parameters p;
    const Random random(1, RandomUse::test);
    for (const int64_t n : {100000, 7, 33333}) {
      p.add(std::vector<float>(static_cast<size_t>(n)));
      for (size_t i = 0; i < p.values.back().size(); ++i) p.values.back()[i] = random.normal(i);
    }
    Optimizer optimizer = optimizer_for(p, "adamw", {0.01, 0.01, 0.01});
    for (int step = 0; step < 3; ++step) {
      for (auto& grad : p.grads) {
        for (size_t i = 0; i < grad.size(); ++i) grad[i] = random.normal(i + 12345u * static_cast<size_t>(step));
      }
      optimizer.step(0.01, 1);
    }
    results.push_back(p.values[0]);
    results.back().insert(results.back().end(), p.values[2].begin(), p.values[2].end());
  }
  set_thread_count(threads);
  EXPECT_EQ(results[0], results[1]);
}

TEST(OptimizerText, SaysWhatItDoesNotKnow) {
  const auto refused = [](const std::string& text) { return error_of(ErrorKind::usage, [&] { parse_optimizer(text); }); };
  EXPECT_EQ(parse_optimizer(" adamw { beta1=0.8, eps=1e-6 } ").values.at("beta1"), 0.8);
  EXPECT_EQ(parse_optimizer("adamw").values.at("beta2"), 0.999);
  EXPECT_THAT(refused("adamx"), HasSubstr("'adamx' is not known"));
  EXPECT_THAT(refused("adam{mu=0.9}"), HasSubstr("no parameter 'mu'"));
  EXPECT_THAT(refused("adam{beta1=1}"), HasSubstr("beta1 is 1"));
  EXPECT_THAT(refused("adam{eps=0}"), HasSubstr("eps is 0"));
  EXPECT_THAT(refused("adam{beta1=nan}"), HasSubstr("not a number"));
  EXPECT_THAT(refused("adam{beta1}"), HasSubstr("not key=number"));
  EXPECT_THAT(refused("adam{beta1=0.5 beta1=0.6}"), HasSubstr("twice"));
  EXPECT_THAT(refused("adam{beta1=0.5"), HasSubstr("not closed"));
  EXPECT_THAT(refused(""), HasSubstr("no name"));
}

}  // namespace
}  // namespace espalier
