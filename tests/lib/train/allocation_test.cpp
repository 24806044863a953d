#include <gtest/gtest.h>

#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/kernels/kernel.h"
#include "lib/train/trainer.h"
#include "tests/support/allocations.h"

namespace espalier {
namespace {

TEST(TrainAllocations, NoneBetweenTheFirstStepAndTheLast) {
  const int64_t count = 330;  // ten batches and a part of one
  Tensor x(DataType::uint8, {count, 8, 8}), y(DataType::int64, {count});
  const Random random(1, RandomUse::test);
  for (size_t i = 0; i < x.mutable_data<uint8_t>().size(); ++i) x.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random.below(i, 256));
  const Dataset data = make_dataset("noise", {{"x", x}}, y);
  Graph model = parse_graph(R"(
    graph g (x: float[n,1,8,8]) -> (l) opset 15 {
      w1: float[8,1,3,3] = fill(1)
      s: float[8] = ones
      o: float[8] = zeros
      m: float[8] = zeros
      v: float[8] = ones
      w2: float[4,512] = fill(2)
      b2: float[4] = zeros
      c = Conv(x, w1) {kernel_shape = [3,3], pads = [1,1,1,1]}
      k = BatchNormalization(c, s, o, m, v)
      r = Relu(k)
      f = Flatten(r)
      l = Gemm(f, w2, b2) {transB = 1}
    })");
  TrainConfig config;
  config.epochs = 1;
  config.batch_size = 32;
  config.clip_norm = 1;
  config.l1 = 1e-4;
  config.optimizer = "rmsprop{mu=0.9}";
  config.preprocessing.scale = {1.0 / 255};
  config.augmentation = {true, 2};
  TrainEvents events;
  int64_t steps = 0, primitives = 0, allocations = -1;
  events.step = [&](const StepEvent&) {
    ++steps;
    if (steps == 1) {
      primitives = primitives_created();
      testing::start_counting_allocations();
    } else if (steps == 11) {
      allocations = testing::stop_counting_allocations();
      EXPECT_EQ(primitives_created(), primitives);
    }
  };
  train(model, {&data, &data, nullptr}, config, events);
  EXPECT_EQ(steps, 11);
  EXPECT_EQ(allocations, 0);
}

}  // namespace
}  // namespace espalier
