#include "lib/base/parallel.h"
#include "lib/base/serial.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

#include "lib/base/error.h"

namespace espalier {
namespace {

/// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(int n) : before_(thread_count()) { set_thread_count(n); }
  ~Threads() { set_thread_count(before_); }

 private:
  int before_;
};

using Pieces = std::set<std::pair<int64_t, int64_t>>;

Pieces pieces(int64_t n, int64_t grain) {
  std::mutex mutex;
  Pieces result;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    result.emplace(begin, end);
  });
  return result;
}

TEST(ParallelFor, CoversTheRangeOnceInPiecesCutAtTheGrain) {
  const Threads threads(3);
  for (const int64_t n : {0, 1, 7, 8, 9, 64, 1000, 1001}) {
    for (const int64_t grain : {1, 8, 100}) {
      int64_t expected = 0;
      for (const auto& [begin, end] : pieces(n, grain)) {
        EXPECT_EQ(begin, expected);
        EXPECT_LT(begin, end);
        EXPECT_TRUE(end == n || end % grain == 0);
        expected = end;
      }
      EXPECT_EQ(expected, n) << n << " by " << grain;
    }
  }
}

TEST(ParallelFor, CutsTheSameWayEachTime) {
  const Threads threads(4);
  const Pieces first = pieces(1003, 16);
  EXPECT_LE(first.size(), 4u);
  EXPECT_GT(first.size(), 1u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pieces(1003, 16), first);
}

TEST(ParallelFor, SmallWorkStaysWhereItIs) {
  const Threads threads(4);
  EXPECT_EQ(pieces(16, 16), (Pieces{{0, 16}}));
}

TEST(ParallelFor, InsideAnotherRunsOnOneThread) {
  const Threads threads(4);
  std::mutex mutex;
  size_t most = 0;
  parallel_for(4, 1, [&](int64_t, int64_t) {
    const size_t count = pieces(1000, 1).size();
    const std::lock_guard lock(mutex);
    most = std::max(most, count);
  });
  EXPECT_EQ(most, 1u);
}

TEST(ParallelFor, InASerialScopeRunsOnOneThread) {
  const Threads threads(4);
  EXPECT_GT(pieces(1000, 1).size(), 1u);
  {
    const SerialScope serial;
    const SerialScope inactive(false);
    EXPECT_EQ(pieces(1000, 1).size(), 1u);
  }
  EXPECT_GT(pieces(1000, 1).size(), 1u);
}

TEST(ParallelFor, RethrowsAnException) {
  const Threads threads(4);
  EXPECT_THROW(parallel_for(100, 1, [](int64_t begin, int64_t end) {
                 if (begin <= 99 && 99 < end) throw std::runtime_error("the last one");
               }),
               std::runtime_error);
  EXPECT_EQ(pieces(100, 100).size(), 1u);  // and all is well after it
}

TEST(ThreadCount, IsAtLeastOne) {
  EXPECT_GE(thread_count(), 1);
  EXPECT_THROW(set_thread_count(0), Error);
}

}  // namespace
}  // namespace espalier
