#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <iostream>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using google::protobuf::util::MessageDifferencer;
using testing::shared_path;
using testing::TemporaryFolder;

constexpr int64_t kAny = int64_t{1} << 31;

std::vector<fs::path> models_in(const fs::path& folder) {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".onnx") result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

onnx::ModelProto message_of(const fs::path& path) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(read_file(path, kAny))) << path;
  return proto;
}

/// The first difference of two files as messages; empty if they are equal.
std::string difference(const fs::path& a, const fs::path& b) {
  std::string text;
  MessageDifferencer differ;
  differ.ReportDifferencesToString(&text);
  const onnx::ModelProto first = message_of(a), second = message_of(b);
  return differ.Compare(first, second) ? "" : text.substr(0, 500);
}

void expect_round_trip(const fs::path& path, const fs::path& folder) {
  SCOPED_TRACE(path.filename().string());
  const fs::path copy = folder / path.filename();
  const Model model = load_model(path);
  save_model(model, copy);
  EXPECT_EQ(difference(path, copy), "");
  EXPECT_TRUE(same_graph(model.graph, load_model(copy).graph));
}

/// Skips, with a line that says so, where the shared models are absent.
#define NEED_ZOO() \
  if (!fs::exists(shared_path("zoo"))) GTEST_SKIP() << "no models in " << shared_path("zoo") << " (set ESPALIER_SHARED)"

TEST(RoundTrip, KeepsEveryModelOfTheZooMessageByMessage) {
  NEED_ZOO();
  const TemporaryFolder folder;
  const auto models = models_in(shared_path("zoo"));
  EXPECT_EQ(models.size(), 50u);
  for (const fs::path& path : models) expect_round_trip(path, folder.path());
}

TEST(RoundTrip, KeepsTheLightModels) {
  NEED_ZOO();
  const TemporaryFolder folder;
  const auto models = models_in(shared_path("zoo/light"));
  EXPECT_EQ(models.size(), 9u);
  for (const fs::path& path : models) expect_round_trip(path, folder.path());
}

TEST(RoundTrip, KeepsExternalData) {
  NEED_ZOO();
  const TemporaryFolder folder;
  const fs::path original = shared_path("zoo/zuramai__mnist_external_data/mnist.onnx");
  expect_round_trip(original, folder.path());
  EXPECT_TRUE(fs::exists(folder / "mnist.onnx.data"));
  const Model model = load_model(original);
  save_model(model, folder / "other.onnx");
  EXPECT_TRUE(fs::exists(folder / "other.onnx.data"));
  EXPECT_TRUE(same_graph(model.graph, load_model(folder / "other.onnx").graph));
  save_model(model, folder / "inside.onnx", {ExternalData::never});
  EXPECT_FALSE(fs::exists(folder / "inside.onnx.data"));
  EXPECT_TRUE(same_graph(model.graph, load_model(folder / "inside.onnx").graph));
}

TEST(RoundTrip, KeepsOrRefusesWhatOthersCannotRun) {
  NEED_ZOO();
  const TemporaryFolder folder;
  const auto models = models_in(shared_path("zoo/refused"));
  EXPECT_EQ(models.size(), 5u);
  for (const fs::path& path : models) {
    SCOPED_TRACE(path.filename().string());
    try {
      const Model model = load_model(path);
      save_model(model, folder / "copy.onnx");
      EXPECT_EQ(difference(path, folder / "copy.onnx"), "");
      std::cout << "kept     " << path.filename().string() << "\n";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_data);
      std::cout << "refused  " << path.filename().string() << ": " << error.what() << "\n";
    }
  }
}

TEST(RoundTrip, PrintsAndReadsEveryModelOfTheZooAsText) {
  NEED_ZOO();
  for (const char* sub : {"zoo", "zoo/light"}) {
    for (const fs::path& path : models_in(shared_path(sub))) {
      SCOPED_TRACE(path.filename().string());
      const Model model = load_model(path);
      const Graph again = parse_graph(print_graph(model.graph, {.max_elements = -1}));
      EXPECT_TRUE(same_graph(model.graph, again));
    }
  }
}

TEST(RoundTrip, ComputesTheSameInOnnxRuntime) {
  NEED_ZOO();
  const std::string python = testing::python_with("numpy onnx onnxruntime");
  if (python.empty()) GTEST_SKIP() << "no Python with onnxruntime (tools/check installs it)";
  const TemporaryFolder folder;
  fs::create_directories(folder / "zuramai__mnist_external_data");
  fs::create_directories(folder / "light");
  for (const std::string sub : {"", "light/"}) {
    for (const fs::path& path : models_in(shared_path("zoo/" + sub))) {
      save_model(load_model(path), folder / (sub + path.filename().string()));
    }
  }
  const std::string external = "zuramai__mnist_external_data/mnist.onnx";
  save_model(load_model(shared_path("zoo/" + external)), folder / external);
  const std::string script = testing::source_path("tests/lib/onnx_io/same_outputs.py").string();
  const std::string command = "'" + python + "' '" + script + "' '" + shared_path("zoo").string() + "' '" +
                              folder.path().string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace espalier
