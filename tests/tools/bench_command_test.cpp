#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/environment.h"
#include "tests/tools/run_command.h"

namespace espalier::testing {
namespace {

using ::testing::HasSubstr;

/// A state whose first axis is no batch, as streaming models have: they run at the batch they were written for.
TEST(BenchCommand, LeavesOutTheDefaultBatchThatAModelCannotHave) {
  const TemporaryFolder folder;
  write_text((folder / "stream.txt").string(), R"(graph g (x: float[1,4], state: float[2,1,4]) -> (y) opset 13 {
    first: int64[] = 0
    s = Gather(state, first)
    y = Add(x, s)
  })");
  const CommandResult result = run_command({"bench", "stream.txt", "--seconds", "0.01", "--json", "-"}, folder.path().string());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Json::parse(result.out)["batches"].size(), 1u);
  EXPECT_THAT(result.err, HasSubstr("batch 64 is left out: "));
  EXPECT_EQ(run_command({"bench", "stream.txt", "--batch", "64"}, folder.path().string()).exit_code, 3);
}

}  // namespace
}  // namespace espalier::testing
