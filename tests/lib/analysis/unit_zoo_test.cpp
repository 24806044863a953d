#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
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

TEST(UnitsOfTheZoo, FreeUnitsAndFrozenReasonsAreGolden) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto lines = golden();
  ASSERT_GT(lines.size(), 20u);
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
