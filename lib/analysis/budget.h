#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/analysis/choose.h"
#include "lib/analysis/cost.h"

namespace espalier {

struct BudgetOptions {
  enum class Kind {
    macs,    ///< the result costs at most `share` of the original's MACs
    params,  ///< the result has at most `share` of the original's parameters
    ratio,   ///< `share` of the free units of every group stay
  };
  Kind kind = Kind::macs;
  double share = 0.5;           ///< in (0, 1]
  bool global = true;           ///< all groups compete; else every group keeps the same share
  /// Kept counts are multiples of this; 0: by the size of the group (aligned_step), or 1 where the budget is not met so.
  int64_t align = 0;
  double least_share = 0.05;    ///< no group keeps less of its free units, as long as `global`
  std::vector<double> scores;   ///< worth by id, as unit_importance gives it
  uint64_t seed = 0;
  std::function<bool()> stop;   ///< asked between trials; may be empty
};

struct BudgetResult {
  Chosen chosen;
  CostTotals before, after;
  double reached = 1;       ///< share that is left of what the budget counts
  bool met = false;         ///< reached <= share; if not, `chosen` is the smallest result found
  int trials = 0;
};

/// Step in which a group of `units` loses units where `align` is 0: 16 from 32 units on, 8 from 16 on, else 1. Runtimes
/// that lay channels out in blocks of 16 or 8 calculate the rest of a block, too: ONNX Runtime (AVX-512) takes as long for
/// 17 or 24 channels as for 32, and longer for 12 to 15 than for 16. A fixed rule, so that a plan is the same on every machine.
int64_t aligned_step(int64_t units, int64_t align);

/// Meets a budget from below as closely as single steps of groups allow: bisects how much of the least worth goes, then
/// gives steps back while the budget holds, until no group could keep one step more. Every trial is a real cut, its cost that of the cut graph. Freezes and ties
/// in `table` what choose_units() has to.
BudgetResult meet_budget(UnitTable& table, const BudgetOptions& options);

/// Cost of a graph for the input sizes that `table` was made for.
CostTotals cost_at(const UnitTable& table, const Graph& graph);

}  // namespace espalier
