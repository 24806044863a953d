#include "lib/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace espalier {
namespace {

TEST(Metrics, CrossEntropyAndTop1ByHand) {
  MetricSum sum;
  const std::vector<float> scores = {0, 0, 0, 1000, 0, 1000};
  sum.add_labels(std::span(scores).first(2), {1, 2}, std::vector<int64_t>{1});
  sum.add_labels(std::span(scores).subspan(2), {2, 2}, std::vector<int64_t>{1, 0});
  const Metrics m = sum.mean();
  EXPECT_EQ(m.samples, 3);
  EXPECT_NEAR(m.loss, (std::log(2.0) + 0 + 1000) / 3, 1e-9);  // no overflow
  EXPECT_NEAR(m.top1, 1.0 / 3, 1e-12);  // the first of equal scores counts
  EXPECT_TRUE(std::isnan(m.mse));
  EXPECT_TRUE(std::isnan(m.agreement));
}

TEST(Metrics, CountsPositions) {
  MetricSum sum;  // [1, 2, 3]: three positions of two classes
  const std::vector<float> scores = {1, 0, 5, 0, 1, 2};
  sum.add_labels(scores, {1, 2, 3}, std::vector<int64_t>{0, 1, 1});
  EXPECT_NEAR(sum.mean().top1, 2.0 / 3, 1e-12);
  EXPECT_EQ(sum.mean().samples, 1);
}

TEST(Metrics, DivergenceFromATeacher) {
  MetricSum sum;
  const std::vector<float> teacher = {0, std::log(3.0f)}, student = {0, 0};
  sum.add_teacher(student, {1, 2}, teacher);
  EXPECT_NEAR(sum.mean().loss, 0.25 * std::log(0.5) + 0.75 * std::log(1.5), 1e-6);
  EXPECT_EQ(sum.mean().agreement, 0);
  MetricSum same;
  same.add_teacher(teacher, {1, 2}, teacher);
  EXPECT_NEAR(same.mean().loss, 0, 1e-12);
  EXPECT_EQ(same.mean().agreement, 1);
}

TEST(Metrics, SquaredError) {
  MetricSum sum;
  sum.add_values(std::vector<float>{1, 2, 3, 4}, 2, std::vector<float>{1, 0, 3, 1});
  EXPECT_DOUBLE_EQ(sum.mean().mse, 13.0 / 4);
  EXPECT_EQ(sum.mean().samples, 2);
}

TEST(Metrics, BetterMeansTop1ThenMseThenLoss) {
  const auto of = [](double loss, double top1, double mse) {
    Metrics m;
    m.loss = loss, m.top1 = top1, m.mse = mse;
    return m;
  };
  const double none = Metrics::kNone;
  EXPECT_TRUE(of(2, 0.9, none).better_than(of(1, 0.8, none)));
  EXPECT_TRUE(of(1, 0.9, none).better_than(of(2, 0.9, none)));
  EXPECT_FALSE(of(1, 0.9, none).better_than(of(1, 0.9, none)));
  EXPECT_TRUE(of(1, none, 1).better_than(of(1, none, 2)));
  EXPECT_TRUE(of(1, none, none).better_than(of(2, none, none)));
  EXPECT_TRUE(of(1, 0.1, none).better_than(of(none, none, none)));
  EXPECT_FALSE(of(none, none, none).better_than(of(1, 0.1, none)));
}

}  // namespace
}  // namespace espalier
