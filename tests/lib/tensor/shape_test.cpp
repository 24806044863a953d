#include "lib/tensor/shape.h"

#include <gtest/gtest.h>

#include <optional>

#ifdef ESPALIER_RAPIDCHECK
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#endif

#include "lib/base/error.h"
#include "lib/tensor/data_type.h"

namespace espalier {
namespace {

TEST(ElementCount, IsCheckedArithmetic) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({2, 0, 4}), 0);
  EXPECT_THROW(element_count({-1}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 32, int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count(Dims(65, 1)), Error);
  EXPECT_THROW(checked_add(INT64_MAX, 1), Error);
  EXPECT_THROW(checked_mul(INT64_MAX, 2), Error);
}

TEST(ByteCount, PacksFourBits) {
  EXPECT_EQ(byte_count(DataType::float32, {2, 3}), 24);
  EXPECT_EQ(byte_count(DataType::int4, {5}), 3);
  EXPECT_EQ(byte_count(DataType::uint4, {4}), 2);
  EXPECT_EQ(byte_count(DataType::complex128, {2}), 32);
  EXPECT_THROW(byte_count(DataType::float64, {int64_t{1} << 60}), Error);
}

TEST(NormalizeAxis, CountsFromTheEnd) {
  EXPECT_EQ(normalize_axis(-1, 4), 3);
  EXPECT_EQ(normalize_axis(-4, 4), 0);
  EXPECT_EQ(normalize_axis(3, 4), 3);
  EXPECT_THROW(normalize_axis(4, 4), Error);
  EXPECT_THROW(normalize_axis(-5, 4), Error);
}

TEST(Strides, AreRowMajor) {
  EXPECT_EQ(row_major_strides({2, 3, 4}), (Dims{12, 4, 1}));
  EXPECT_EQ(row_major_strides({}), Dims{});
}

TEST(Broadcast, FollowsNumpy) {
  EXPECT_EQ(broadcast({2, 1, 4}, {3, 1}), (Dims{2, 3, 4}));
  EXPECT_EQ(broadcast({}, {5}), (Dims{5}));
  EXPECT_EQ(broadcast({1}, {0}), (Dims{0}));
  EXPECT_THROW(broadcast({2}, {3}), Error);
  EXPECT_THROW(broadcast({0}, {2}), Error);
}

#ifdef ESPALIER_RAPIDCHECK

rc::Gen<Dims> small_dims() {
  return rc::gen::resize(5, rc::gen::container<Dims>(rc::gen::inRange<int64_t>(0, 4)));
}

std::optional<Dims> tried(const Dims& a, const Dims& b) {
  try {
    return broadcast(a, b);
  } catch (const Error&) {
    return std::nullopt;
  }
}

RC_GTEST_PROP(BroadcastProperty, IsCommutative, ()) {
  const Dims a = *small_dims(), b = *small_dims();
  RC_ASSERT(tried(a, b) == tried(b, a));
}

RC_GTEST_PROP(BroadcastProperty, IsAssociative, ()) {
  const Dims a = *small_dims(), b = *small_dims(), c = *small_dims();
  const auto ab = tried(a, b), bc = tried(b, c);
  if (ab && bc) RC_ASSERT(tried(*ab, c) == tried(a, *bc));
}

RC_GTEST_PROP(BroadcastProperty, HasOneAndItselfAsNeutral, ()) {
  const Dims a = *small_dims();
  RC_ASSERT(broadcast(a, a) == a);
  RC_ASSERT(broadcast(a, {}) == a);
  RC_ASSERT(broadcast(a, Dims(a.size(), 1)) == a);
}

RC_GTEST_PROP(BroadcastProperty, GivesASizeOfOneSide, ()) {
  const Dims a = *small_dims(), b = *small_dims();
  const auto r = tried(a, b);
  if (!r) return;
  RC_ASSERT(r->size() == std::max(a.size(), b.size()));
  for (size_t i = 0; i < r->size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    const int64_t z = (*r)[r->size() - 1 - i];
    RC_ASSERT((x == z || x == 1) && (y == z || y == 1));
  }
}

RC_GTEST_PROP(StridesProperty, AddressEachElementOnce, ()) {
  Dims dims = *small_dims();
  const Dims strides = row_major_strides(dims);
  int64_t last = 0;
  for (size_t i = 0; i < dims.size(); ++i) last += (dims[i] - 1) * strides[i];
  if (element_count(dims) > 0) RC_ASSERT(last == element_count(dims) - 1);
}

#endif

}  // namespace
}  // namespace espalier
