#include "lib/kernels/layout.h"

#include <gtest/gtest.h>

#include <numeric>

#include "lib/kernels/conv.h"
#include "lib/kernels/element.h"
#include "lib/kernels/reduce.h"
#include "lib/kernels/reorder.h"

namespace espalier {
namespace {

constexpr auto kFloat = DataType::float32;

/// A layout as a convolution with `channels` outputs chooses it.
Layout chosen(const Dims& dst) {
  ConvProblem p;
  p.src = {dst[0], 32, dst[2], dst[3]};
  p.weights = {dst[1], 32, 3, 3};
  p.dst = dst;
  p.strides = p.dilations = p.pads_begin = p.pads_end = {1, 1};
  return conv_forward(p, Layout::plain(kFloat, p.src)).args.back();
}

std::vector<float> run(Primitive primitive, const std::vector<float>& from, size_t to) {
  AlignedBuffer in(from.size() * sizeof(float)), out(to * sizeof(float)), scratch(primitive.scratch_bytes + 1);
  std::copy(from.begin(), from.end(), reinterpret_cast<float*>(in.data()));
  std::vector<void*> args = {in.data(), out.data()};
  if (primitive.scratch_bytes > 0) args.push_back(scratch.data());
  primitive.kernel->bind(args);
  primitive.kernel->run();
  const auto* values = reinterpret_cast<const float*>(out.data());
  return {values, values + to};
}

std::vector<float> counted(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

TEST(Layout, PlainTensorsAreSeenAsChannels) {
  const auto image = Layout::plain(kFloat, {2, 3, 4, 5}).channels();
  ASSERT_TRUE(image);
  EXPECT_EQ(std::tie(image->batch, image->blocks, image->inner, image->block), std::make_tuple(2, 3, 20, 1));
  const auto matrix = Layout::plain(kFloat, {2, 7}).channels();
  EXPECT_EQ(std::tie(matrix->batch, matrix->blocks, matrix->inner, matrix->block), std::make_tuple(2, 1, 1, 7));
  EXPECT_FALSE(Layout::plain(kFloat, {7}).channels());
}

TEST(Layout, WhatAConvolutionChoosesAddressesEveryElementOfTheTensor) {
  const Dims dims = {2, 20, 3, 3};
  const Layout layout = chosen(dims);
  const auto c = layout.channels();
  ASSERT_TRUE(c) << layout.str();
  const auto values = counted(2 * 20 * 9);
  const auto memory = run(reorder(Layout::plain(kFloat, dims), layout), values, static_cast<size_t>(layout.padded_count()));
  for (int64_t n = 0, i = 0; n < 2; ++n) {
    for (int64_t channel = 0; channel < 20; ++channel) {
      for (int64_t s = 0; s < 9; ++s, ++i) {
        const int64_t at = ((n * c->blocks + channel / c->block) * c->inner + s) * c->block + channel % c->block;
        EXPECT_EQ(memory[at], values[i]);
      }
    }
  }
}

TEST(Layout, ReshapesOnlyByTrailingOnesUnlessPlain) {
  EXPECT_TRUE(Layout::plain(kFloat, {2, 3, 4}).reshaped({6, 4}));
  const Layout blocked = chosen({2, 20, 3, 3});
  if (blocked.is_plain()) GTEST_SKIP() << "this machine's convolutions stay plain";
  EXPECT_FALSE(blocked.reshaped({2, 180}));
  const auto gate = blocked.like({2, 20, 1, 1});
  ASSERT_TRUE(gate);
  EXPECT_EQ(gate->padded_count(), blocked.padded_count() / 9);
}

TEST(Layout, FullBlocksWithoutPositionsArePlain) {
  const auto gate = chosen({2, 32, 3, 3}).like({2, 32, 1, 1});
  ASSERT_TRUE(gate);
  EXPECT_TRUE(gate->is_plain());
}

TEST(Reorder, GoesThereAndBackAlsoWhereDimsDiffer) {
  const Dims dims = {2, 20, 3, 3};
  const Layout blocked = chosen(dims), flat = Layout::plain(kFloat, {2, 180});
  const auto values = counted(360);
  const auto there = run(reorder(flat, blocked), values, static_cast<size_t>(blocked.padded_count()));
  EXPECT_EQ(run(reorder(blocked, flat), there, 360), values);
}

TEST(Reorder, TransposesAndCutsBoxes) {
  const Layout from = Layout::plain(kFloat, {2, 3});
  EXPECT_EQ(run(transpose_copy(from, Layout::plain(kFloat, {3, 2}), {1, 0}), counted(6), 6),
            (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(run(copy_box_out(from, Layout::plain(kFloat, {2, 1}), {0, 1}), counted(6), 2), (std::vector<float>{2, 5}));
  EXPECT_EQ(run(copy_box_in(Layout::plain(kFloat, {1, 2}), from, {1, 1}), {8, 9}, 6), (std::vector<float>{0, 0, 0, 0, 8, 9}));
}

TEST(ElementChain, ClearsPaddingThatItWouldFill) {
  const Layout layout = chosen({1, 20, 3, 3});
  const auto n = static_cast<size_t>(layout.padded_count());
  Primitive chain;
  chain.kernel = element_chain(layout, {ElementOperand{}}, {{{ElementKind::scale_shift, 1, 5}, 0, 0, 1}});
  const auto result = run(std::move(chain), run(reorder(Layout::plain(kFloat, {1, 20, 3, 3}), layout), counted(180), n), n);
  const auto plain = run(reorder(layout, Layout::plain(kFloat, {1, 20, 3, 3})), result, 180);
  for (size_t i = 0; i < 180; ++i) EXPECT_EQ(plain[i], static_cast<float>(i + 6));
  double total = 0;
  for (const float v : result) total += v;
  EXPECT_EQ(total, 180 * 181 / 2 + 5 * 180);
}

TEST(ElementChain, BroadcastsByChannelAndByStrides) {
  const Dims dims = {2, 3, 2, 2};
  const Layout layout = Layout::plain(kFloat, dims);
  std::vector<float> gates = {1, 10, 100, 2, 20, 200}, row = {1, 2}, result(24);
  auto x = counted(24);
  auto kernel = element_chain(layout,
                              {ElementOperand{}, {ElementOperand::Kind::channel, 3, {}}, {ElementOperand::Kind::strided, 0, {0, 0, 0, 1}}},
                              {{{ElementKind::mul}, 0, 1, 3}, {{ElementKind::add}, 3, 2, 4}});
  void* const args[] = {x.data(), gates.data(), row.data(), result.data()};
  kernel->bind(args);
  kernel->run();
  for (size_t i = 0; i < 24; ++i) EXPECT_EQ(result[i], x[i] * gates[i / 12 * 3 + i / 4 % 3] + row[i % 2]) << i;
}

TEST(ReduceSum, SumsAlongAnyAxes) {
  for (int mask = 0; mask < 8; ++mask) {
    const Dims dims = {2, 3, 4};
    const std::vector<bool> reduced = {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0};
    std::vector<float> expected;
    Dims kept;
    for (size_t i = 0; i < 3; ++i) kept.push_back(reduced[i] ? 1 : dims[i]);
    expected.resize(static_cast<size_t>(element_count(kept)));
    const auto x = counted(24);
    for (int64_t i = 0; i < 24; ++i) {
      const Dims at = {i / 12, i / 4 % 3, i % 4};
      int64_t to = 0;
      for (size_t k = 0; k < 3; ++k) to = to * kept[k] + (reduced[k] ? 0 : at[k]);
      expected[to] += 0.5f * x[i];
    }
    Primitive sum;
    sum.kernel = reduce_sum(dims, reduced, 0.5f);
    EXPECT_EQ(run(std::move(sum), x, expected.size()), expected) << mask;
  }
}

// Groups of 8 and 12 channels have blocks of 4; a bias must be found beside them.
TEST(Layout, EveryFormOfAGroupedConvolutionsGradientIsHadForOtherDims) {
  for (const int64_t channels : {4, 8, 12, 16, 20, 32}) {
    ConvProblem p;
    p.src = {4, 2 * channels, 6, 3};
    p.weights = {16, channels, 2, 2};
    p.dst = {4, 16, 5, 2};
    p.strides = p.dilations = {1, 1};
    p.pads_begin = p.pads_end = {0, 0};
    p.group = 2;
    const Primitive step = conv_backward_data(p, conv_hint(p), Layout::plain(DataType::float32, p.dst), Layout());
    const Layout& made = step.args[2];
    if (!made.channels()) continue;
    const auto same = made.like(p.src), larger = made.like({5, 2 * channels, 7, 7});
    ASSERT_TRUE(same && larger) << channels << " channels a group, " << step.implementation;
    EXPECT_EQ(*same, made);
    EXPECT_EQ(larger->channels()->block, made.channels()->block);
  }
}

}  // namespace
}  // namespace espalier
