// Steps so small that a second thread would only delay them run on one.
#include <gtest/gtest.h>

#include "lib/base/parallel.h"
#include "lib/runtime/program.h"

namespace espalier {
namespace {

/// Writes down how many threads it might use.
class Probe : public Kernel {
 public:
  explicit Probe(std::vector<int>& seen) : seen_(seen) {}
  void bind(std::span<void* const>) override { seen_.push_back(thread_count()); }
  void run() override { seen_.push_back(thread_count()); }

 private:
  std::vector<int>& seen_;
};

TEST(SerialStep, IsBoundAndRunOnOneThread) {
  const int before = thread_count();
  set_thread_count(3);
  std::vector<int> serial, parallel;
  Program program;
  program.add_step(std::make_unique<Probe>(serial), {}, {}, true);
  program.add_step(std::make_unique<Probe>(parallel), {}, {}, false);
  program.finish();
  program.run();
  std::vector<int64_t> spent;
  program.run_timed(spent);
  EXPECT_EQ(serial, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(parallel, (std::vector<int>{3, 3, 3}));
  EXPECT_EQ(thread_count(), 3);
  set_thread_count(before);
}

}  // namespace
}  // namespace espalier
