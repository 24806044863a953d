#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

/// Most memory that the process had at once since reset_peak(), in bytes, file pages included; -1 where Linux does not say.
int64_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return -1;
}

bool reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

// The mapped file is one copy, the tensors are the other.
TEST(Memory, LoadingTakesTwiceTheFileAndAConstant) {
  constexpr int64_t kFile = int64_t{32} << 20, kConstant = int64_t{16} << 20;
  const testing::TemporaryFolder folder;
  Graph graph = parse_graph("graph g (x: float[1,4096]) -> (y) opset 13 { w: float[4096,2048] = fill(1)  y = MatMul(x, w) }");
  save_model(make_model(std::move(graph)), folder / "big.onnx");
  ASSERT_TRUE(reset_peak()) << "cannot reset the peak of this process";
  const int64_t before = peak();
  ASSERT_GT(before, 0);
  const Model model = load_model(folder / "big.onnx");
  EXPECT_LT(peak() - before, 2 * kFile + kConstant);
  EXPECT_GT(peak() - before, kFile) << "the measure does not see the file";
}

}  // namespace
}  // namespace espalier
