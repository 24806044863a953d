#include "lib/analysis/budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lib/analysis/importance.h"
#include "lib/graph/text.h"
#include "tests/lib/analysis/unit_models.h"

namespace espalier {
namespace {

/// Two hidden layers of `n` units each.
Graph layers(int64_t n) {
  testing::TextModel m("x: float[1,16]");
  std::string x = m.relu(m.linear("x", 16, n));
  x = m.relu(m.linear(x, n, n));
  return m.graph(m.linear(x, n, 10));
}

BudgetOptions options(const UnitTable& table, BudgetOptions::Kind kind, double share, bool global) {
  BudgetOptions o;
  o.kind = kind;
  o.share = share;
  o.global = global;
  o.scores = unit_importance(table, {});
  return o;
}

TEST(Budget, MeetsMacsAndParametersFromBelowWithinOneStep) {
  const Graph graph = layers(128);
  for (const auto kind : {BudgetOptions::Kind::macs, BudgetOptions::Kind::params}) {
    for (const double share : {0.7, 0.5, 0.25}) {
      for (const bool global : {true, false}) {
        SCOPED_TRACE(std::to_string(share) + (global ? " global" : " layer"));
        UnitTable table = assign_units(graph);
        const BudgetResult r = meet_budget(table, options(table, kind, share, global));
        EXPECT_TRUE(r.met);
        EXPECT_LE(r.reached, share);
        // One step of 16 of the 128 units of a layer is at most (128 * 16 + 16 * 16) of 19,712 multiplications.
        EXPECT_GE(r.reached, share - 0.12);
        EXPECT_EQ(r.after.macs, cost_at(table, r.chosen.cut.graph).macs);
      }
    }
  }
}

TEST(Budget, WithoutAlignmentIsMetWithinTwoPercent) {
  const Graph graph = layers(128);
  UnitTable table = assign_units(graph);
  BudgetOptions o = options(table, BudgetOptions::Kind::macs, 0.5, true);
  o.align = 1;
  const BudgetResult r = meet_budget(table, o);
  EXPECT_LE(r.reached, 0.5);
  EXPECT_GE(r.reached, 0.48);
}

TEST(Budget, KeepsMultiplesOfTheStep) {
  const Graph graph = layers(128);
  UnitTable table = assign_units(graph);
  const BudgetResult r = meet_budget(table, options(table, BudgetOptions::Kind::macs, 0.4, true));
  for (const UnitGroup& group : unit_groups(table)) {
    int64_t kept = 0;
    for (const int32_t unit : group.members) kept += r.chosen.keep[static_cast<size_t>(unit)] ? 1 : 0;
    if (!group.free.empty()) {
      EXPECT_EQ(kept % 16, 0) << group.name;
    }
  }
}

TEST(Budget, LetsGoOfAlignmentWhereItCannotBeMetOtherwise) {
  const Graph graph = layers(20);  // 8 of 20 cost 0.29
  UnitTable table = assign_units(graph);
  const BudgetResult r = meet_budget(table, options(table, BudgetOptions::Kind::macs, 0.2, true));
  EXPECT_TRUE(r.met);
  EXPECT_LE(r.reached, 0.2);
}

TEST(Budget, NoGroupCouldKeepOneStepMore) {
  const Graph graph = layers(128);
  UnitTable table = assign_units(graph);
  const BudgetResult r = meet_budget(table, options(table, BudgetOptions::Kind::macs, 0.5, true));
  for (const UnitGroup& group : unit_groups(table)) {
    if (group.free.empty()) continue;
    const auto counts = [&](const std::vector<UnitGroup>& groups) {
      std::vector<int64_t> result;
      for (const UnitGroup& g : groups) {
        const int64_t kept = std::count_if(g.free.begin(), g.free.end(), [&](int32_t u) { return r.chosen.keep[static_cast<size_t>(u)]; });
        result.push_back(kept + (g.name == group.name ? 16 : 0));
      }
      return result;
    };
    const Chosen wider = choose_units(table, {counts, {}, 0});
    EXPECT_GT(static_cast<double>(cost_at(table, wider.cut.graph).macs), 0.5 * static_cast<double>(r.before.macs)) << group.name;
  }
}

TEST(Budget, RatioTakesTheShareOfEveryGroup) {
  const Graph graph = layers(20);
  UnitTable table = assign_units(graph);
  BudgetOptions o = options(table, BudgetOptions::Kind::ratio, 0.7, false);
  o.align = 1;
  const BudgetResult r = meet_budget(table, o);
  for (const UnitGroup& group : unit_groups(table)) {
    int64_t kept = 0;
    for (const int32_t unit : group.free) kept += r.chosen.keep[static_cast<size_t>(unit)] ? 1 : 0;
    if (!group.free.empty()) {
      EXPECT_EQ(kept, 14) << group.name;
    }
  }
}

TEST(Budget, SaysWhatIsReachableWhereItIsNotMet) {
  const Graph graph = layers(20);
  UnitTable table = assign_units(graph);
  const BudgetResult r = meet_budget(table, options(table, BudgetOptions::Kind::macs, 0.001, true));
  EXPECT_FALSE(r.met);
  EXPECT_GT(r.reached, 0.001);
  EXPECT_LT(r.reached, 0.2);
}

TEST(Budget, RefusesSharesOutOfRange) {
  const Graph graph = layers(4);
  UnitTable table = assign_units(graph);
  EXPECT_THROW(meet_budget(table, options(table, BudgetOptions::Kind::macs, 0, true)), Error);
  EXPECT_THROW(meet_budget(table, options(table, BudgetOptions::Kind::macs, 1.5, true)), Error);
}

TEST(Importance, SumsOutputRowsAndInputColumns) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,2]) -> (y) opset 13 {
    w: float[2,3] = {1, -2, 0, 1, 2, 0}
    v: float[3,1] = {1, 2, -6}
    "first": h = MatMul(x, w)
    y = MatMul(h, v)
  })");
  const UnitTable table = assign_units(graph);
  // l1: 1+1+1, 2+2+2, 6; divided by the mean 5.
  const auto l1 = unit_importance(table, {Criterion::l1, {}, 0});
  EXPECT_NEAR(l1[0], 3 / 5.0, 1e-12);
  EXPECT_NEAR(l1[1], 6 / 5.0, 1e-12);
  EXPECT_NEAR(l1[2], 6 / 5.0, 1e-12);
  EXPECT_NEAR(unit_importance(table, {Criterion::l1, {}, 0, 0})[2], 6, 1e-12);
  EXPECT_NEAR(unit_importance(table, {Criterion::l1, {}, 0, 0.5})[2], 6 / std::sqrt(5.0), 1e-12);
  const std::map<std::string, Tensor> gradients = {{"w", parse_tensor("float[2,3] {1, 1, 1, 1, 1, 1}")},
                                                   {"v", parse_tensor("float[3,1] {0, 0, 1}")}};
  // taylor: 1+1, 2+2, 6; divided by the mean 4.
  const auto taylor = unit_importance(table, {Criterion::taylor, gradients, 0});
  EXPECT_NEAR(taylor[0], 2 / 4.0, 1e-12);
  EXPECT_NEAR(taylor[1], 4 / 4.0, 1e-12);
  EXPECT_NEAR(taylor[2], 6 / 4.0, 1e-12);
}

TEST(Importance, TaylorWithoutGradientsIsAUsageError) {
  const Graph graph = layers(4);
  EXPECT_THROW(unit_importance(assign_units(graph), {Criterion::taylor, {}, 0}), Error);
  EXPECT_THROW(parse_criterion("magic"), Error);
}

}  // namespace
}  // namespace espalier
