// Moves and boxes of random shapes, types, tables and strides against an element-by-element copy.

#include "lib/kernels/move.h"

#include <gtest/gtest.h>

#include <cstring>

#include "lib/base/random.h"

namespace espalier {
namespace {

/// Numbers below a bound, one after the other.
class Draws {
 public:
  explicit Draws(uint32_t stream) : random_(5, RandomUse::test, stream) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(random_.below(at_++, static_cast<uint64_t>(n))); }

 private:
  Random random_;
  uint64_t at_ = 0;
};

std::vector<std::byte> bytes(Draws& draws, int64_t count) {
  std::vector<std::byte> result(static_cast<size_t>(count));
  for (std::byte& b : result) b = static_cast<std::byte>(draws.below(256));
  return result;
}

/// Where position i of a tensor of `dims` lies, by strides and offsets of its axes.
int64_t place(int64_t i, const Dims& dims, const Dims& strides, const Dims& offsets) {
  int64_t at = 0;
  for (size_t a = dims.size(); a-- > 0; i /= dims[a]) at += (i % dims[a] + offsets[a]) * strides[a];
  return at;
}

void run(Move move, const std::vector<std::byte>& from, std::vector<std::byte>& to) {
  const auto kernel = move_elements(std::move(move));
  void* const args[] = {const_cast<std::byte*>(from.data()), to.data()};
  kernel->bind(args);
  kernel->run();
}

TEST(Move, TakesBoxesOutAndPutsThemIn) {
  for (uint32_t trial = 0; trial < 300; ++trial) {
    Draws draws(trial);
    Dims whole, part, offsets;
    for (int64_t a = draws.below(6); a > 0; --a) {
      whole.push_back(1 + draws.below(9));
      part.push_back(1 + draws.below(whole.back()));
      offsets.push_back(draws.below(whole.back() - part.back() + 1));
    }
    const bool out = draws.below(2) == 0;
    const Dims in_whole = row_major_strides(whole), in_part = row_major_strides(part);
    Move move;
    for (size_t a = 0; a < part.size(); ++a) {
      move.axes.push_back({part[a], out ? in_whole[a] : in_part[a], {}, out ? in_part[a] : in_whole[a]});
      (out ? move.offset : move.to_offset) += offsets[a] * in_whole[a];
    }
    const int64_t large = element_count(whole), small = element_count(part);
    const auto from = bytes(draws, 4 * (out ? large : small));
    std::vector<std::byte> to(static_cast<size_t>(4 * (out ? small : large))), expected = to;
    for (int64_t i = 0; i < small; ++i) {
      const int64_t at = place(i, part, in_whole, offsets);
      std::memcpy(&expected[static_cast<size_t>(4 * (out ? i : at))], &from[static_cast<size_t>(4 * (out ? at : i))], 4);
    }
    run(std::move(move), from, to);
    ASSERT_EQ(to, expected) << "trial " << trial;
  }
}

TEST(Move, PermutesRepeatsAndPicksByTable) {
  for (uint32_t trial = 0; trial < 300; ++trial) {
    Draws draws(1000 + trial);
    Dims dims, order, to_dims;
    for (int64_t a = 1 + draws.below(4); a > 0; --a) dims.push_back(1 + draws.below(20));
    for (size_t a = 0; a < dims.size(); ++a) order.insert(order.begin() + draws.below(static_cast<int64_t>(a) + 1), static_cast<int64_t>(a));
    const Dims strides = row_major_strides(dims);
    Move move;
    move.width = size_t{1} << draws.below(5);
    move.fill.fill(std::byte{7});
    std::vector<std::vector<int64_t>> tables;
    for (const int64_t p : order) {
      const int64_t size = dims[static_cast<size_t>(p)], stride = strides[static_cast<size_t>(p)], kind = draws.below(6);
      std::vector<int64_t> table(static_cast<size_t>(kind < 2 ? 1 + draws.below(12) : size));
      for (size_t i = 0; i < table.size(); ++i) {
        const int64_t at = kind == 0 ? draws.below(size + 1) - 1 : kind == 1 ? 0 : static_cast<int64_t>(i);
        table[i] = at < 0 ? -1 : at * stride;
      }
      to_dims.push_back(static_cast<int64_t>(table.size()));
      move.axes.push_back({to_dims.back(), kind == 1 ? 0 : stride, kind == 0 ? table : std::vector<int64_t>{}});
      tables.push_back(std::move(table));
    }
    const auto width = static_cast<int64_t>(move.width), count = element_count(to_dims);
    const auto from = bytes(draws, width * element_count(dims));
    std::vector<std::byte> to(static_cast<size_t>(width * count)), expected(to.size(), std::byte{7});
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = i, at = 0;
      bool filled = false;
      for (size_t a = to_dims.size(); a-- > 0; rest /= to_dims[a]) {
        const int64_t entry = tables[a][static_cast<size_t>(rest % to_dims[a])];
        filled = filled || entry < 0;
        at += entry;
      }
      if (!filled) std::memcpy(&expected[static_cast<size_t>(i * width)], &from[static_cast<size_t>(at * width)], move.width);
    }
    run(std::move(move), from, to);
    ASSERT_EQ(to, expected) << "trial " << trial;
  }
}

}  // namespace
}  // namespace espalier
