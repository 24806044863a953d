#include "lib/facade/espalier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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

/// A npy file of `values`.
template <class T>
void write_npy(const std::filesystem::path& path, const std::string& descr, const std::string& shape, const std::vector<T>& values) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header += std::string(117 - header.size(), ' ') + "\n";  // with the 10 bytes before it, a multiple of 64
  std::ofstream out(path, std::ios::binary);
  out << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

TEST(Network, TrainsOnTheDataNamed) {
  const TemporaryFolder folder;
  std::vector<float> x;
  std::vector<int64_t> y;
  for (int i = 0; i < 64; ++i) {
    for (int k = 0; k < 4; ++k) x.push_back(static_cast<float>((i * 7 + k * 3) % 11) / 11.0f);
    y.push_back(i % 2);
  }
  write_npy(folder / "x.npy", "<f4", "(64, 4)", x);
  write_npy(folder / "y.npy", "<i8", "(64,)", y);
  Network net = Network::parse(kTiny);
  ApplySettings settings;
  settings.train = (folder / "x.npy").string() + ":y=" + (folder / "y.npy").string();
  const auto changes = net.apply("finetune{epochs=1 lr=0.1 teacher=none}", settings);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].verification, "passed");
}

TEST(Network, RefusesSettingsThatCannotBeRead) {
  Network net = Network::parse(kTiny);
  ApplySettings settings;
  settings.scale = "bright";
  EXPECT_THROW(net.apply("remove-dead-code", settings), Error);
  settings.scale = "";
  settings.train = "absent.npz";
  EXPECT_THROW(net.apply("remove-dead-code", settings), Error);
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
