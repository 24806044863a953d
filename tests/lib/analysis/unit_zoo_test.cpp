#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

/// A line of tests/golden/unit_groups.txt: file|groups free/all|free units|frozen reasons, most first.
struct Golden {
  std::string file, groups, free, reasons;
};

std::vector<Golden> golden() {
  std::ifstream in(testing::source_path("tests/golden/unit_groups.txt"));
  std::vector<Golden> result;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Golden g;
    std::getline(fields, g.file, '|');
    std::getline(fields, g.groups, '|');
    std::getline(fields, g.free, '|');
    std::getline(fields, g.reasons);
    result.push_back(std::move(g));
  }
  return result;
}

std::string reasons_of(const UnitTable& table, const std::vector<UnitGroup>& groups) {
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [reason, count] : frozen_reasons(table, groups)) sorted.emplace_back(-count, reason);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [count, reason] : sorted) text += (text.empty() ? "" : ", ") + std::to_string(-count) + " " + reason;
  return text;
}

TEST(UnitsOfTheZoo, EveryModelHasAGoldenRow) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  std::set<std::string> rows;
  for (const Golden& line : golden()) rows.insert(line.file);
  const std::filesystem::path zoo = testing::shared_path("zoo");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(zoo)) {
    const std::string file = relative(entry.path(), zoo).string();
    if (entry.path().extension() != ".onnx" || file.starts_with("refused/")) continue;
    EXPECT_TRUE(rows.contains(file)) << file;
  }
}

TEST(UnitsOfTheZoo, FreeUnitsAndFrozenReasonsAreGolden) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto lines = golden();
  ASSERT_EQ(lines.size(), 60u);
  for (const Golden& line : lines) {
    SCOPED_TRACE(line.file);
    const Graph graph = load_model(testing::shared_path("zoo/" + line.file)).graph;
    const UnitTable table = assign_units(graph);
    const auto groups = unit_groups(table);
    int64_t free = 0, prunable = 0;
    for (const UnitGroup& group : groups) {
      free += static_cast<int64_t>(group.free.size());
      prunable += group.free.empty() ? 0 : 1;
    }
    EXPECT_EQ(std::to_string(prunable) + "/" + std::to_string(groups.size()), line.groups);
    EXPECT_EQ(std::to_string(free), line.free);
    EXPECT_EQ(reasons_of(table, groups), line.reasons);
  }
}

/// The model up to its last Conv, since an ArgMax or a comparison behind it hides errors: UNIT_IDS.md's syn_logits models.
Graph until_last_conv(Graph graph) {
  ValueId logits = kNone;
  for (const NodeId id : graph.nodes()) {
    if (graph.node(id).op_type == "Conv") logits = graph.node(id).outputs[0];
  }
  graph.outputs = {logits};
  return graph;
}

TEST(UnitsOfTheZoo, LogitsBeforeAnArgMaxPassTheirCertificates) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  struct Row {
    const char *file, *reasons;
    int64_t free;
  };
  for (const Row row : {Row{"vnncomp2022__carvana_unet_2022__unet_simp_small", "2 graph output", 256},
                        Row{"vnncomp2023__cctsdb_yolo__patch-1", "3 graph output", 840}}) {
    SCOPED_TRACE(row.file);
    const Graph graph = until_last_conv(load_model(testing::shared_path("zoo/" + std::string(row.file) + ".onnx")).graph);
    UnitTable table = assign_units(graph);
    const auto groups = unit_groups(table);
    EXPECT_EQ(reasons_of(table, groups), row.reasons);
    int64_t free = 0;
    for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
    EXPECT_EQ(free, row.free);
    const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 5});
    const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, 5));
    EXPECT_LT(found.error, 1e-9);
    EXPECT_GT(found.moved, 1e-3);
  }
}

TEST(UnitsOfTheZoo, RandomCutsPassTheirCertificates) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const char* files[] = {"alexis__mnist", "ort_examples__mnist_cntk", "vnncomp2021__oval21__cifar_base_kw",
                         "npm_openwakeword__hey_rhasspy", "lemon__lstm", "tract__byte_sb_bidi_lstm", "vnncomp2022__nn4sys__mscn_128d", "vnncomp2023__vit__ibp_3_3_8"};
  for (const std::string file : files) {
    const Graph graph = load_model(testing::shared_path("zoo/" + file + ".onnx")).graph;
    for (const double ratio : {0.3, 0.7}) {
      SCOPED_TRACE(file + " at " + std::to_string(ratio));
      UnitTable table = assign_units(graph);
      const Chosen chosen = choose_units(table, {keep_share(1 - ratio), {}, 7});
      const auto feeds = random_feeds(table, 7);
      EXPECT_LT(certify(table, chosen.keep, chosen.cut, feeds).error, 1e-6);
      const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds, 1e-6);
      EXPECT_FALSE(bad) << graph.node(bad->node).where() << " " << bad->value << " " << bad->error;
    }
  }
}

}  // namespace
}  // namespace espalier
