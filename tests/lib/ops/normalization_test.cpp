#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const Tensor kOnes = floats({2}, {1, 1}), kZeros = floats({2}, {0, 0});

TEST(BatchNormalization, AppliesTheGivenStatistics) {
  const Tensor x = floats({1, 2, 2}, {1, 2, 3, 4}), scale = floats({2}, {2, 10}), bias = floats({2}, {1, 0}), mean = floats({2}, {1, 3}), var = floats({2}, {4, 1});
  for (const int version : {6, 7, 9, 14, 15}) {
    const OpUse use = {"BatchNormalization", version, {real("epsilon", 0)}};
    expect_near(run_op(use, {x, scale, bias, mean, var})[0], floats({1, 2, 2}, {1, 2, 0, 10}));
  }
}

TEST(BatchNormalization, InTrainingUsesTheBatchAndMovesTheStatistics) {
  const OpUse use = {"BatchNormalization", 15, {real("epsilon", 0), real("momentum", 0.75f), number("training_mode", 1)}, 3};
  const Tensor x = floats({2, 2, 1}, {1, 10, 3, 10}), mean = floats({2}, {4, 0}), var = floats({2}, {5, 4});
  const OpUse stable = {"BatchNormalization", 15, {real("epsilon", 1), real("momentum", 0.75f), number("training_mode", 1)}, 3};
  const auto out = run_op(stable, {x, kOnes, kZeros, mean, var});
  const float r = 1 / std::sqrt(2.0f);
  expect_near(out[0], floats({2, 2, 1}, {-r, 0, r, 0}));
  expect_near(out[1], floats({2}, {4 * 0.75f + 2 * 0.25f, 2.5f}));
  expect_near(out[2], floats({2}, {5 * 0.75f + 1 * 0.25f, 3}));
  expect_near(run_op(use, {x, kOnes, kZeros, mean, var})[1], out[1]);
}

TEST(BatchNormalization, BeforeVersionFourteenFurtherOutputsAskForTraining) {
  const OpUse use = {"BatchNormalization", 9, {real("momentum", 0.5f)}, 5};
  const auto out = run_op(use, {floats({2, 2}, {1, 4, 3, 8}), kOnes, kZeros, kZeros, kOnes});
  expect_near(out[1], floats({2}, {1, 3}));
  expect_near(out[3], floats({2}, {2, 6}));
  expect_near(out[4], floats({2}, {1, 4}));
}

TEST(BatchNormalization, OldStatisticsByPosition) {
  const Tensor one = floats({1, 2}, {1, 1}), mean = floats({1, 2}, {1, 2}), zero = floats({1, 2}, {0, 0});
  expect_near(run_op({"BatchNormalization", 7, {number("spatial", 0), real("epsilon", 0)}}, {floats({1, 1, 2}, {5, 5}), one, zero, mean, one})[0],
              floats({1, 1, 2}, {4, 3}));
}

TEST(BatchNormalization, RefusesParametersOfAnotherChannelCount) {
  const Type x = typed({"n", 3, "h"}), good = typed({3}), bad = typed({4});
  EXPECT_EQ(error_of(ErrorKind::bad_data, [&] { inferred({"BatchNormalization"}, {x, bad, good, good, good}); }),
            "node 'n' (BatchNormalization): scale has shape [4], expected [3]");
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { inferred({"BatchNormalization"}, {x, good, good, good, bad}); }), HasSubstr("variance"));
  EXPECT_EQ(inferred({"BatchNormalization"}, {x, good, good, good, good}), "float[n,3,h]");
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { inferred({"BatchNormalization", 15, {}, 3}, {x, good, good, good, good}); }), HasSubstr("training_mode is 0"));
}

TEST(InstanceNormalization, StandardisesEachPlane) {
  const OpUse use = {"InstanceNormalization", 6, {real("epsilon", 0)}};
  expect_near(run_op(use, {floats({1, 2, 2}, {1, 3, 10, 30}), floats({2}, {1, 2}), floats({2}, {0, 5})})[0], floats({1, 2, 2}, {-1, 1, 3, 7}));
  EXPECT_THROW(run_op(use, {floats({1, 2, 2}, {1, 3, 10, 30}), floats({3}, {1, 2, 3}), kZeros}), Error);
}

TEST(GroupNormalization, SharesStatisticsInAGroup) {
  const Tensor x = floats({1, 2, 1}, {1, 3});
  expect_near(run_op({"GroupNormalization", 21, {number("num_groups", 1), real("epsilon", 0)}}, {floats({1, 2, 1}, {1, 3}), floats({2}, {1, 2}), kZeros})[0], floats({1, 2, 1}, {-1, 2}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"GroupNormalization", 21, {number("num_groups", 3)}}, {x, kOnes, kZeros}); }), HasSubstr("multiple of num_groups 3"));
}

TEST(LayerNormalization, StandardisesTheTrailingAxes) {
  const OpUse use = {"LayerNormalization", 17, {real("epsilon", 0)}, 3};
  const auto out = run_op(use, {floats({2, 2}, {1, 3, 10, 30}), floats({2}, {1, 2}), floats({2}, {0, 5})});
  expect_near(out[0], floats({2, 2}, {-1, 7, -1, 7}));
  expect_near(out[1], floats({2, 1}, {2, 20}));
  expect_near(out[2], floats({2, 1}, {1, 0.1f}));
  expect_near(run_op({"LayerNormalization", 17, {number("axis", 0), real("epsilon", 0)}}, {floats({2, 2}, {1, 3, 1, 3}), floats({2}, {1, 1})})[0], floats({2, 2}, {-1, 1, -1, 1}));
  EXPECT_THROW(run_op(use, {floats({2, 2}, {1, 3, 10, 30}), floats({3}, {1, 2, 3})}), Error);
}

TEST(LRN, DividesByTheSquaresOfItsNeighbours) {
  const OpUse use = {"LRN", 13, {number("size", 3), real("alpha", 3), real("beta", 1), real("bias", 1)}};
  expect_near(run_op(use, {floats({1, 3, 1}, {1, 2, 3})})[0], floats({1, 3, 1}, {1.0f / 6, 2.0f / 15, 3.0f / 14}));
  EXPECT_THROW(run_op({"LRN", 13, {number("size", 0)}}, {floats({1, 3, 1}, {1, 2, 3})}), Error);
}

TEST(LpNormalization, DividesByTheNorm) {
  expect_near(run_op({"LpNormalization"}, {floats({2, 2}, {3, 4, 0, 0})})[0], floats({2, 2}, {0.6f, 0.8f, 0, 0}));
}

TEST(Softmax, OverOneAxisSinceThirteenOverAllTheRestBefore) {
  const Tensor x = floats({1, 2, 2}, {0, std::log(3.0f), 0, 0});
  expect_near(run_op({"Softmax", 13}, {x})[0], floats({1, 2, 2}, {0.25f, 0.75f, 0.5f, 0.5f}));
  expect_near(run_op({"Softmax", 13, {number("axis", 1)}}, {x})[0], floats({1, 2, 2}, {0.5f, 0.75f, 0.5f, 0.25f}));
  expect_near(run_op({"Softmax", 11}, {x})[0], floats({1, 2, 2}, {1.0f / 6, 0.5f, 1.0f / 6, 1.0f / 6}));
  expect_near(run_op({"LogSoftmax", 13}, {x})[0], floats({1, 2, 2}, {std::log(0.25f), std::log(0.75f), std::log(0.5f), std::log(0.5f)}));
  expect_near(run_op({"Hardmax", 13}, {x})[0], floats({1, 2, 2}, {0, 1, 1, 0}));
  expect_near(run_op({"Softmax", 13}, {floats({2}, {1000, 1000})})[0], floats({2}, {0.5f, 0.5f}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"Softmax", 13, {number("axis", 3)}}, {x}); }), HasSubstr("axis is 3"));
}

}  // namespace
}  // namespace espalier
