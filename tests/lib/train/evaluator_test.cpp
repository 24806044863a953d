#include "lib/train/evaluator.h"

#include <gtest/gtest.h>

#include "lib/data/batcher.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// Scores that say on which side of an image of two pixels the bright one is.
constexpr char kSides[] = R"(
  graph sides (x: float[batch,1,1,2]) -> (y) opset 13 {
    w: float[2,1,1,2] = {1, 0, 0, 1}
    c = Conv(x, w)
    y = Flatten(c)
  })";

/// Left and right in turns, as the labels say.
Dataset sides(int64_t count) {
  Tensor x(DataType::float32, {count, 1, 1, 2}), y(DataType::int64, {count});
  for (int64_t i = 0; i < count; ++i) {
    y.mutable_data<int64_t>()[static_cast<size_t>(i)] = i % 2;
    x.mutable_data<float>()[static_cast<size_t>(2 * i + i % 2)] = 3;
  }
  return make_dataset("sides", {{"x", x}}, y);
}

TEST(Evaluate, JudgesTheViewsThatTheSeedDraws) {
  const int64_t count = 500;
  const Graph model = parse_graph(kSides);
  const Dataset data = sides(count);
  EvaluateOptions options;
  EXPECT_EQ(evaluate(model, data, {}, options).top1, 1);

  options.augmentation.flip = true;
  options.seed = 7;
  const Metrics flipped = evaluate(model, data, {}, options);
  const Batcher batcher(data, {{"x", DataType::float32, {1, 1, 2}}}, {}, {.batch_size = count, .seed = 7, .augmentation = options.augmentation});
  std::vector<float> images(2 * count);
  batcher.fill(0, 0, std::as_writable_bytes(std::span(images)));
  int64_t right = 0;
  for (int64_t i = 0; i < count; ++i) right += images[static_cast<size_t>(2 * i + i % 2)] == 3;
  EXPECT_EQ(flipped.top1, static_cast<double>(right) / count);
  EXPECT_NEAR(flipped.top1, 0.5, 0.1);

  EXPECT_EQ(evaluate(model, data, {}, options).loss, flipped.loss) << "each run sees the same views";
  options.seed = 8;
  EXPECT_NE(evaluate(model, data, {}, options).loss, flipped.loss);
}

}  // namespace
}  // namespace espalier
