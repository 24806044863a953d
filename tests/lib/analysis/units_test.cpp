#include <gtest/gtest.h>

#include <algorithm>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/surgeon.h"
#include "lib/graph/text.h"
#include "tests/lib/analysis/unit_models.h"

namespace espalier {
namespace {

/// The share k/n behind a ReduceMean is a float constant; all else is exact in double.
constexpr double kTolerance = 1e-7;

using testing::UnitModel;
using testing::unit_models;

std::string in_words(const std::map<std::string, int64_t>& reasons) {
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [reason, count] : reasons) sorted.emplace_back(-count, reason);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [count, reason] : sorted) text += (text.empty() ? "" : ", ") + std::to_string(-count) + " " + reason;
  return text;
}

TEST(Units, FreeUnitsAndFrozenReasonsOfTheSyntheticModelsAreGolden) {
  for (const UnitModel& model : unit_models()) {
    SCOPED_TRACE(model.name);
    const UnitTable table = assign_units(model.graph);
    const auto groups = unit_groups(table);
    int64_t free = 0;
    for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
    EXPECT_EQ(std::count_if(groups.begin(), groups.end(), [](const UnitGroup& g) { return !g.free.empty(); }), model.free_groups);
    EXPECT_EQ(static_cast<int64_t>(groups.size()), model.groups);
    EXPECT_EQ(free, model.free_units);
    EXPECT_EQ(in_words(frozen_reasons(table, groups)), model.reasons);
  }
}

TEST(Units, AreFrozenWhereAFileDeclaresASizeThatDoesNotFit) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,3], axes: int64[1]) -> (y: float[1,2]) opset 13 {
    w: float[1,3,4] = fill(1)
    h = MatMul(x, w)
    y = Squeeze(h, axes)
  })");
  const UnitTable table = assign_units(graph);
  EXPECT_EQ(in_words(frozen_reasons(table, unit_groups(table))), "4 a reshape to a declared size that does not fit");
}

// UNIT_IDS.md's syn_million and syn_nodes10k: the table at full size, and a cut of it.
TEST(Units, LargeGraphsAreGoldenAndCut) {
  struct Row {
    Graph graph;
    size_t groups;
    int64_t free;
    std::string reasons;
  };
  for (const Row& row : {Row{testing::million_positions(), 2, 64, "2 graph output"},
                         Row{testing::ten_thousand_nodes(), 2502, 160064, "4 graph output"}}) {
    UnitTable table = assign_units(row.graph);
    const auto groups = unit_groups(table);
    int64_t free = 0;
    for (const UnitGroup& group : groups) free += static_cast<int64_t>(group.free.size());
    EXPECT_EQ(groups.size(), row.groups);
    EXPECT_EQ(free, row.free);
    EXPECT_EQ(in_words(frozen_reasons(table, groups)), row.reasons);
    verify(choose_units(table, {keep_share(0.5), {}, 3}).cut.graph);
  }
}

TEST(Units, RandomCutsEqualTheMaskedOriginalAtEveryValue) {
  for (const UnitModel& model : unit_models()) {
    for (const uint64_t seed : {3, 5, 7}) {
      const double ratio = static_cast<double>(seed) / 10;
      SCOPED_TRACE(model.name + " at " + std::to_string(ratio));
      UnitTable table = assign_units(model.graph);
      const Chosen chosen = choose_units(table, {keep_share(1 - ratio), {}, seed});
      verify(chosen.cut.graph);
      const auto feeds = random_feeds(table, seed);
      const Certificate c = certify(table, chosen.keep, chosen.cut, feeds);
      EXPECT_LT(c.error, kTolerance);
      const bool removed = std::find(chosen.keep.begin(), chosen.keep.end(), false) != chosen.keep.end();
      EXPECT_EQ(c.vacuous, !removed);
      const auto bad = first_difference(table, chosen.keep, chosen.cut, feeds, kTolerance);
      EXPECT_FALSE(bad) << table.graph->node(bad->node).where() << " " << bad->value << " " << bad->error;
    }
  }
}

}  // namespace
}  // namespace espalier
