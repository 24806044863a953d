#include "lib/train/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;

std::vector<double> table(const std::string& text, std::vector<int64_t> steps, int64_t steps_per_epoch, int64_t epochs) {
  const Schedule schedule = Schedule::parse(text);
  std::vector<double> result;
  for (const int64_t step : steps) result.push_back(schedule.factor(step, steps_per_epoch, epochs));
  return result;
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-9) << "entry " << i;
}

TEST(Schedule, FollowsItsFormula) {
  expect_near(table("constant", {0, 50, 99}, 10, 10), {1, 1, 1});
  expect_near(table("step{every=2 gamma=0.5}", {0, 19, 20, 39, 40, 99}, 10, 10), {1, 1, 0.5, 0.5, 0.25, 0.0625});
  expect_near(table("exponential{gamma=0.9}", {0, 10, 20}, 10, 10), {1, 0.9, 0.81});
  expect_near(table("cosine", {0, 25, 50, 75, 100}, 10, 10), {1, 0.8535533906, 0.5, 0.1464466094, 0});
  expect_near(table("cosine{min=0.2}", {0, 50, 100}, 10, 10), {1, 0.6, 0.2});
}

TEST(Schedule, WarmsUpInAStraightLine) {
  expect_near(table("constant{warmup=1}", {0, 1, 9, 10}, 10, 10), {0.1, 0.2, 1, 1});
  expect_near(table("cosine{warmup=2}", {0, 19, 20, 60, 100}, 10, 10), {0.05, 1, 1, 0.5, 0});
  expect_near(table("constant{warmup=0.25}", {0, 1, 2, 3}, 10, 10), {0.4, 0.8, 1, 1});
  expect_near(table("cosine{warmup=50}", {0, 99}, 10, 10), {0.01, 1});  // longer than the run: never ends
}

TEST(Schedule, SaysWhatItDoesNotKnow) {
  EXPECT_THAT(error_of(ErrorKind::usage, [] { Schedule::parse("triangle"); }), HasSubstr("'triangle'"));
  EXPECT_THAT(error_of(ErrorKind::usage, [] { Schedule::parse("cosine{gamma=0.1}"); }), HasSubstr("'gamma'"));
  EXPECT_THAT(error_of(ErrorKind::usage, [] { Schedule::parse("step{every=0}"); }), HasSubstr("every is 0"));
  EXPECT_THAT(error_of(ErrorKind::usage, [] { Schedule::parse("exponential{gamma=1.5}"); }), HasSubstr("gamma is 1.5"));
}

}  // namespace
}  // namespace espalier
