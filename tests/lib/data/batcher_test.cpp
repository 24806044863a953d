#include "lib/data/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "lib/base/parallel.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using testing::error_of;

/// Samples that count 0, 1, 2 ... (modulo 251) through all elements; the label is the row.
Dataset counting(int64_t count, Dims sample, DataType type = DataType::uint8) {
  sample.insert(sample.begin(), count);
  Tensor values(DataType::int64, sample);
  auto out = values.mutable_data<int64_t>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int64_t>(i % 251);
  Tensor labels(DataType::int64, {count});
  auto y = labels.mutable_data<int64_t>();
  std::iota(y.begin(), y.end(), 0);
  return make_dataset("d", {{"x", values.cast(type)}}, labels);
}

Dataset bytes(Dims dims, const std::vector<uint8_t>& values) { return make_dataset("d", {{"x", Tensor::of<uint8_t>(std::move(dims), values)}}); }

std::vector<float> batch_of(const Batcher& batcher, int64_t batch) {
  std::vector<float> out(static_cast<size_t>(batcher.batch_size(batch) * element_count(batcher.sample_dims(0))));
  batcher.fill(batch, 0, std::as_writable_bytes(std::span(out)));
  return out;
}

Batcher simple(const Dataset& data, Dims model, const Preprocessing& preprocessing = {}, const BatcherOptions& options = {}) {
  return Batcher(data, {{"input", DataType::float32, std::move(model)}}, preprocessing, options);
}

TEST(Preprocess, ReadsNumbersAndFractions) {
  EXPECT_DOUBLE_EQ(parse_number("1/255", "scale"), 1.0 / 255);
  EXPECT_THAT(parse_numbers("0.49,1e-1,-3", "mean"), ElementsAre(0.49, 0.1, -3));
  for (const std::string bad : {"", "1/0", "x", "1,", "1/2/3", "nan", "inf", "1 "}) {
    error_of(ErrorKind::usage, [&] { parse_numbers(bad, "scale"); });
  }
}

TEST(Preprocess, AppliesScaleMeanStdPerChannel) {
  const Dataset data = bytes({1, 2, 1, 2}, {0, 255, 51, 102});
  Preprocessing p{{1.0 / 255}, {0.5, 0.1}, {0.5, 0.2}, DataLayout::nchw};
  EXPECT_THAT(batch_of(simple(data, {2, 1, 2}, p), 0),
              ElementsAre(FloatEq(-1), FloatEq(1), FloatNear(0.5f, 1e-6f), FloatNear(1.5f, 1e-6f)));
  Dataset floats = data;
  floats.inputs[0].values = data.inputs[0].values.cast(DataType::float32);
  EXPECT_EQ(batch_of(simple(floats, {2, 1, 2}, p), 0), batch_of(simple(data, {2, 1, 2}, p), 0));
  p.mean = {1, 2, 3};
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { simple(data, {2, 1, 2}, p); }), HasSubstr("mean has 3 values"));
  p.mean = {};
  p.std = {0};
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { simple(data, {2, 1, 2}, p); }), HasSubstr("std is 0"));
}

TEST(Preprocess, AddsAxesAndUnflattens) {
  for (const Dims& model : {Dims{1, 28, 28}, Dims{28, 28}, Dims{784}, Dims{784, 1}, Dims{28, 28, 1}, Dims{-1, 28, 28}, Dims{1, -1, -1}}) {
    for (const Dims& sample : {Dims{28, 28}, Dims{1, 28, 28}}) {
      const Batcher batcher = simple(counting(1, sample), model);
      EXPECT_EQ(element_count(batcher.sample_dims(0)), 784);
      EXPECT_FLOAT_EQ(batch_of(batcher, 0)[300], 300 % 251);
    }
  }
  EXPECT_EQ(simple(counting(1, {784}), {1, 28, 28}).sample_dims(0), (Dims{1, 28, 28}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { simple(counting(1, {28, 28}), {1, 32, 32}); }), HasSubstr("[28,28]"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { simple(counting(1, {32, 96}), {3, 32, 32}); }), HasSubstr("wants [3,32,32]"));
}

TEST(Preprocess, TransposesOnlyWhereTheModelDiffers) {
  const std::vector<uint8_t> hwc = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, chw = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11};
  const std::vector<float> as_is(hwc.begin(), hwc.end()), transposed(chw.begin(), chw.end());
  const Dataset data = bytes({1, 2, 2, 3}, hwc);
  const Preprocessing nhwc{{}, {}, {}, DataLayout::nhwc}, nchw{{}, {}, {}, DataLayout::nchw};
  EXPECT_EQ(batch_of(simple(data, {2, 2, 3}, nhwc), 0), as_is);
  EXPECT_EQ(batch_of(simple(data, {3, 2, 2}, nhwc), 0), transposed);
  EXPECT_EQ(batch_of(simple(data, {3, -1, -1}, nhwc), 0), transposed);
  EXPECT_EQ(batch_of(simple(data, {-1, -1, 3}, nhwc), 0), as_is);
  EXPECT_EQ(batch_of(simple(data, {3, 2, 2}), 0), transposed);
  EXPECT_EQ(batch_of(simple(data, {12}, nhwc), 0), as_is);
  EXPECT_EQ(batch_of(simple(bytes({1, 12}, hwc), {3, 2, 2}), 0), as_is);
  error_of(ErrorKind::bad_data, [&] { simple(data, {3, 2, 2}, nchw); });
  EXPECT_EQ(batch_of(simple(bytes({1, 3, 2, 2}, chw), {2, 2, 3}, nchw), 0), as_is);
  EXPECT_EQ(batch_of(simple(data, {3, 2, 2}, {{}, {0, 1, 2}, {}, DataLayout::nhwc}), 0),
            (std::vector<float>{0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9}));
}

TEST(Batcher, YieldsEverySampleOnceAndTheLastPartialBatch) {
  Batcher batcher = simple(counting(103, {2}), {2}, {}, {.batch_size = 10, .shuffle = true, .seed = 3, .augmentation = {}});
  EXPECT_EQ(batcher.batches(), 11);
  EXPECT_EQ(batcher.batch_size(10), 3);
  std::vector<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    batcher.start_epoch(epoch);
    std::vector<int64_t> order;
    for (int64_t b = 0; b < batcher.batches(); ++b) {
      std::vector<int64_t> labels(static_cast<size_t>(batcher.batch_size(b)));
      batcher.fill_targets(b, std::span<int64_t>(labels));
      const auto x = batch_of(batcher, b);
      for (size_t i = 0; i < labels.size(); ++i) {
        EXPECT_FLOAT_EQ(x[2 * i], static_cast<float>(2 * labels[i] % 251));
        order.push_back(labels[i]);
      }
    }
    orders.push_back(order);
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 103u);
  }
  EXPECT_NE(orders[0], orders[1]);
  batcher.start_epoch(0);
  EXPECT_TRUE(std::equal(orders[0].begin(), orders[0].begin() + 10, batcher.rows(0).begin()));
}

TEST(Batcher, GivesTheSameBatchAtAnyThreadCountAndInAnyOrder) {
  const Dataset data = counting(64, {3, 40, 40});
  const BatcherOptions options{.batch_size = 32, .shuffle = true, .seed = 5, .augmentation = {true, 4}};
  const int threads = thread_count();
  set_thread_count(1);
  const Batcher one = simple(data, {3, 40, 40}, {}, options);
  const auto first = batch_of(one, 0), second = batch_of(one, 1);
  set_thread_count(4);
  const Batcher four = simple(data, {3, 40, 40}, {}, options);
  EXPECT_EQ(batch_of(four, 1), second);
  EXPECT_EQ(batch_of(four, 0), first);
  set_thread_count(threads);
}

TEST(Batcher, FlipsHalfAndCropsEvenly) {
  // One bright pixel shows where the image went; 5 is what comes in: 0 before preprocessing.
  const int64_t count = 4000;
  Tensor values(DataType::uint8, {count, 9, 9});
  auto pixels = values.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) pixels[static_cast<size_t>(i * 81 + 4 * 9 + 2)] = 100;
  const Dataset data = make_dataset("d", {{"x", values}});
  const Batcher batcher = simple(data, {1, 9, 9}, {{}, {-5}, {}, DataLayout::automatic},
                                 {.batch_size = count, .seed = 1, .augmentation = parse_augmentation("flip,crop:1")});
  const auto out = batch_of(batcher, 0);
  std::map<std::pair<int, int>, int> places;
  for (int64_t i = 0; i < count; ++i) {
    for (int p = 0; p < 81; ++p) {
      const float v = out[static_cast<size_t>(i * 81 + p)];
      if (v > 50) ++places[{p / 9, p % 9}];
      else ASSERT_FLOAT_EQ(v, 5);
    }
  }
  EXPECT_EQ(places.size(), 18u);  // rows 3 to 5, columns 1 to 3 and mirrored 5 to 7
  for (const auto& [place, times] : places) {
    EXPECT_NEAR(times, count / 18.0, 70) << place.first << "," << place.second;
    EXPECT_TRUE(place.first >= 3 && place.first <= 5 && place.second >= 1 && place.second <= 7 && place.second != 4);
  }
}

TEST(Batcher, RefusesNonsense) {
  const Dataset images = counting(4, {8, 8}), features = counting(4, {8});
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { simple(features, {8}, {}, {.augmentation = {true, 0}}); }), HasSubstr("need images"));
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { simple(images, {8, 8}, {}, {.batch_size = 0, .augmentation = {}}); }), HasSubstr("batch size is 0"));
  for (const std::string bad : {"", "turn", "crop", "crop:", "crop:0", "crop:-1", "crop:4x", "flip,"}) {
    error_of(ErrorKind::usage, [&] { parse_augmentation(bad); });
  }
}

TEST(Batcher, FillsIntegerInputsAsTheyAre) {
  const Dataset features = counting(4, {8});
  const std::vector<InputSlot> integers = {{"input", DataType::int32, {8}}};
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { Batcher(features, integers, {{2}, {}, {}, DataLayout::automatic}, {}); }),
              HasSubstr("for float inputs"));
  const Batcher whole(features, integers, {}, {.batch_size = 4, .augmentation = {}});
  std::vector<int32_t> out(32);
  whole.fill(0, 0, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(out[31], 31);
}

TEST(Batcher, FillsTheRowsOfASplit) {
  const auto [train, validation] = split(counting(50, {1}), 0.2, 1);
  const Batcher batcher = simple(validation, {1}, {}, {.batch_size = 50, .augmentation = {}});
  EXPECT_EQ(batcher.samples(), 10);
  const auto x = batch_of(batcher, 0);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_FLOAT_EQ(x[i], static_cast<float>(validation.rows[i]));
}

}  // namespace
}  // namespace espalier
