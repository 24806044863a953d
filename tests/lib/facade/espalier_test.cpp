#include "lib/facade/espalier.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"

namespace espalier {
namespace {

using testing::TemporaryFolder;

constexpr auto kTiny = R"(
  graph tiny (x: float[batch,4]) -> (y: float[batch,2]) opset 17 {
    w: float[4,2] = fill(1)
    dead = Exp(x)
    y = MatMul(x, w)
  })";

TEST(Network, CountsWithSymbolsAsOne) {
  const Network net = Network::parse(kTiny);
  EXPECT_EQ(net.macs(), 8);
  EXPECT_EQ(net.parameters(), 8);
}

TEST(Network, AppliesAPipelineAndSaysWhatItDid) {
  Network net = Network::parse(kTiny);
  const auto changes = net.apply("remove-dead-code");
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].pass, "remove-dead-code");
  EXPECT_TRUE(changes[0].changed);
  EXPECT_EQ(changes[0].nodes_before, 2u);
  EXPECT_EQ(changes[0].nodes_after, 1u);
  EXPECT_EQ(changes[0].verification, "passed");
}

TEST(Network, IsAsBeforeWhenThePipelineFails) {
  Network net = Network::parse(kTiny);
  const std::string before = net.text();
  EXPECT_THROW(net.apply("simplify, no-such-pass"), Error);
  ApplySettings stopping;
  stopping.stop = [] { return true; };
  EXPECT_THROW(net.apply("remove-dead-code", stopping), Error);
  EXPECT_EQ(net.text(), before);
}

TEST(Network, CopiesAreIndependent) {
  Network net = Network::parse(kTiny);
  const Network copy = net;
  net.apply("remove-dead-code");
  EXPECT_NE(net.text(), copy.text());
}

TEST(Network, SavesAndLoadsBack) {
  const TemporaryFolder folder;
  const std::string path = (folder / "tiny.onnx").string();
  const Network net = Network::parse(kTiny);
  net.save(path);
  EXPECT_EQ(Network::load(path).text(), net.text());
}

TEST(Network, NamesTheMissingFile) {
  const TemporaryFolder folder;
  try {
    Network::load((folder / "absent.onnx").string());
    FAIL() << "loaded a file that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
    EXPECT_NE(std::string(error.what()).find("absent.onnx"), std::string::npos);
  }
}

}  // namespace
}  // namespace espalier
