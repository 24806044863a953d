#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "passes/pipeline.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> models() {
  std::vector<std::string> result;
  const fs::path zoo = testing::shared_path("zoo");
  if (!fs::exists(zoo)) return result;
  for (const auto& entry : fs::directory_iterator(zoo)) {
    if (entry.path().extension() == ".onnx") result.push_back(entry.path().filename().string());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::string> names_of(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (const ValueId v : values) {
    if (!graph.initializer(v)) names.push_back(graph.value(v).name);
  }
  return names;
}

class Zoo : public ::testing::TestWithParam<std::string> {};

// The outputs are compared by the pipeline itself; what it cannot compare is printed.
TEST_P(Zoo, SimplifyAndFuseReachAFixedPointAndKeepTheOutputs) {
  const Model original = load_model(testing::shared_path("zoo/" + GetParam()));
  Model model = original;
  const Pipeline pipeline = Pipeline::parse("simplify, fuse");
  for (const PassReport& r : pipeline.run(model, {})) {
    if (r.verification.state == Verification::State::unverified) {
      std::printf("unverified: %s: %s: %s\n", GetParam().c_str(), r.text.c_str(), r.verification.detail.c_str());
    }
  }
  EXPECT_LE(model.graph.nodes().size(), original.graph.nodes().size());
  EXPECT_EQ(names_of(model.graph, model.graph.inputs), names_of(original.graph, original.graph.inputs));
  EXPECT_EQ(names_of(model.graph, model.graph.outputs), names_of(original.graph, original.graph.outputs));
  EXPECT_EQ(model.graph.opsets, original.graph.opsets);

  Model again = model;
  for (const PassReport& r : pipeline.run(again, {})) EXPECT_FALSE(r.changed) << r.text;

  const std::string bytes = serialize_model(model);
  EXPECT_NO_THROW(parse_model(std::as_bytes(std::span(bytes)), "."));
}

INSTANTIATE_TEST_SUITE_P(Models, Zoo, ::testing::ValuesIn(models()), [](const auto& model) {
  std::string name = model.param.substr(0, model.param.find(".onnx"));
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Zoo);

TEST(ZooIsThere, OrIsSkippedAloud) {
  if (models().empty()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
}

}  // namespace
}  // namespace espalier
