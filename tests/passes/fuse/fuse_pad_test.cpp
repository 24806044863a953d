#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "fuse-pad, remove-dead-code";

std::string net(const std::string& pad, const std::string& attributes = "", const std::string& outputs = "(y)") {
  return "graph g (x: float[n,1,4,4]) -> " + outputs + " {\n w: float[2,1,3,3] = fill(1)\n" + pad + "\n y = Conv(p, w)" + attributes + "\n}";
}

TEST(FusePad, AddsThePadsToThoseOfTheConv) {
  const Ran ran = run_pass(kPass, net("pads: int64[8] = {0,0,1,2,0,0,3,4}\n p = Pad(x, pads)", " {pads = [1,1,1,1]}"));
  ASSERT_EQ(ran.graph.nodes().size(), 1u);
  EXPECT_EQ(ran.graph.node(ran.graph.nodes()[0]).require<std::vector<int64_t>>("pads"), (std::vector<int64_t>{2, 3, 4, 5}));
}

TEST(FusePad, ReadsTheOldForm) {
  const Ran ran = run_pass(kPass, R"(graph g (x: float[n,1,4,4]) -> (y) opset 9 {
      w: float[2,1,3,3] = fill(1)
      p = Pad(x) {pads = [0,0,1,1,0,0,1,1]}
      y = Conv(p, w)
    })");
  EXPECT_EQ(ran.graph.nodes().size(), 1u);
}

TEST(FusePad, LeavesThePadForOtherReaders) {
  const Ran ran = run_pass(kPass, net("pads: int64[8] = {0,0,1,1,0,0,1,1}\n p = Pad(x, pads)\n z = Relu(p)", "", "(y, z)"));
  EXPECT_EQ(ran.graph.nodes().size(), 3u);
}

TEST(FusePad, LeavesOtherPaddingAlone) {
  expect_untouched(kPass, net("pads: int64[8] = {0,0,1,1,0,0,1,1}\n v: float[] = 1\n p = Pad(x, pads, v)"));
  expect_untouched(kPass, net("pads: int64[8] = {0,0,1,1,0,0,1,1}\n p = Pad(x, pads) {mode = \"edge\"}"));
  expect_untouched(kPass, net("pads: int64[8] = {0,0,-1,1,0,0,1,1}\n p = Pad(x, pads)"));
  expect_untouched(kPass, net("pads: int64[8] = {1,0,1,1,0,0,1,1}\n p = Pad(x, pads)"));
  expect_untouched(kPass, net("pads: int64[8] = {0,0,1,1,0,0,1,1}\n p = Pad(x, pads)", " {auto_pad = \"SAME_UPPER\"}"));
}

}  // namespace
}  // namespace espalier
