#include "lib/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lib/base/error.h"
#include "lib/tensor/dispatch.h"

namespace espalier {
namespace {

TEST(Tensor, BeginsWithZeros) {
  const Tensor t(DataType::float32, {2, 3});
  EXPECT_EQ(t.size(), 6);
  EXPECT_EQ(t.rank(), 2);
  for (const float v : t.data<float>()) EXPECT_EQ(v, 0.0f);
  EXPECT_FALSE(Tensor().defined());
  EXPECT_EQ(Tensor(DataType::string, {2}).strings()[1], "");
  EXPECT_THROW(Tensor(DataType::float32, {-1}), Error);
}

TEST(Tensor, CopiesShareUntilOneIsWritten) {
  Tensor a = Tensor::of<float>({2}, {1, 2});
  Tensor b = a;
  EXPECT_EQ(a.bytes().data(), b.bytes().data());
  b.mutable_data<float>()[0] = 5;
  EXPECT_EQ(a.data<float>()[0], 1.0f);
  EXPECT_EQ(b.data<float>()[0], 5.0f);
  const auto* before = a.bytes().data();
  a.mutable_data<float>()[1] = 7;  // alone now: in place
  EXPECT_EQ(a.bytes().data(), before);
}

TEST(Tensor, StringsAreValuesToo) {
  const Tensor a = Tensor::of_strings({2}, {"a", "b"});
  Tensor b = a;
  b.mutable_strings()[0] = "c";
  EXPECT_EQ(a.strings()[0], "a");
  EXPECT_FALSE(a == b);
}

TEST(Tensor, AViewIsCopiedBeforeItIsWritten) {
  const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2});
  Tensor view(DataType::float32, {2}, std::as_bytes(std::span(*owner)), owner);
  EXPECT_EQ(static_cast<const void*>(view.bytes().data()), owner->data());
  view.mutable_data<float>()[0] = 9;
  EXPECT_EQ((*owner)[0], 1.0f);
  EXPECT_THROW(Tensor(DataType::float32, {3}, std::as_bytes(std::span(*owner)), owner), Error);
}

TEST(Tensor, AViewKeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2});
  const std::weak_ptr<std::vector<float>> watch = owner;
  {
    const Tensor view(DataType::float32, {2}, std::as_bytes(std::span(*owner)), owner);
    owner.reset();
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, ChecksTheTypeItIsReadAs) {
  const Tensor t = Tensor::of<int64_t>({1}, {3});
  EXPECT_THROW(t.data<float>(), Error);
  EXPECT_EQ(t.to_int64s(), (std::vector<int64_t>{3}));
  EXPECT_THROW(Tensor::of<float>({1}, {3}).to_int64s(), Error);
}

TEST(Tensor, IsReshapedWithoutCopying) {
  const Tensor t = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor r = t.reshaped({3, 2});
  EXPECT_EQ(r.bytes().data(), t.bytes().data());
  EXPECT_EQ(r.dims(), (Dims{3, 2}));
  EXPECT_THROW(t.reshaped({4}), Error);
}

TEST(Tensor, EqualityIsOfBits) {
  EXPECT_TRUE(Tensor::of<float>({1}, {NAN}) == Tensor::of<float>({1}, {NAN}));
  EXPECT_FALSE(Tensor::of<float>({1}, {0.0f}) == Tensor::of<float>({1}, {-0.0f}));
  EXPECT_FALSE(Tensor::of<float>({1}, {1}) == Tensor::of<float>({}, {1}));
}

TEST(Tensor, CastsAsOnnxDoes) {
  const float big = 1e20f;
  const Tensor t = Tensor::of<float>({6}, {1.9f, -1.9f, 300, big, -big, NAN});
  EXPECT_EQ(t.cast(DataType::int32).to_int64s(), (std::vector<int64_t>{1, -1, 300, 2147483647, -2147483648LL, 0}));
  EXPECT_EQ(t.cast(DataType::boolean).to_int64s(), (std::vector<int64_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(Tensor::of<float>({2}, {0.0f, -0.0f}).cast(DataType::boolean).to_int64s(), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(Tensor::of<int64_t>({1}, {300}).cast(DataType::uint8).to_int64s(), (std::vector<int64_t>{44}));
  EXPECT_EQ(Tensor::of<double>({1}, {1.0 / 3}).cast(DataType::float16).to_doubles()[0],
            static_cast<double>(static_cast<float>(float16(1.0f / 3))));
}

TEST(Tensor, EveryNumericTypeConvertsToEveryOther) {
  for (int from = 1; from <= 16; ++from) {
    for (int to = 1; to <= 16; ++to) {
      const auto numeric = [](DataType type) { return is_float(type) || is_integer(type) || type == DataType::boolean; };
      const auto a = static_cast<DataType>(from), b = static_cast<DataType>(to);
      if (!numeric(a) || !numeric(b)) continue;
      const Tensor one = Tensor::of<int64_t>({2}, {0, 1}).cast(a);
      EXPECT_EQ(one.cast(b).to_doubles(), (std::vector<double>{0, 1})) << name(a) << " to " << name(b);
    }
  }
  EXPECT_THROW(Tensor(DataType::string, {1}).cast(DataType::float32), Error);
}

TEST(DataType, HasOnnxNamesAndWidths) {
  EXPECT_EQ(name(DataType::float32), "float");
  EXPECT_EQ(name(static_cast<DataType>(99)), "undefined");
  EXPECT_EQ(name(static_cast<DataType>(-1)), "undefined");
  EXPECT_EQ(bit_width(DataType::boolean), 8);
  EXPECT_EQ(bit_width(DataType::int4), 4);
  EXPECT_EQ(bit_width(DataType::string), 0);
}

}  // namespace
}  // namespace espalier
