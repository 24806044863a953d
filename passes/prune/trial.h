#pragma once

#include <string>
#include <vector>

#include "lib/analysis/budget.h"
#include "passes/prune/reconstruct.h"
#include "passes/resources.h"

namespace espalier {

/// One way to choose and cut units, with its result.
struct Trial {
  UnitTable table;             ///< with what the choice had to tie and freeze
  Chosen chosen;               ///< its graph reconstructed, where that was done
  Graph as_cut;                ///< the graph before
  std::vector<double> scores;  ///< worth by root of `table`; empty where a plan said what stays
  std::string way;             ///< "{criterion=taylor scope=layer}"
  Reconstructed reconstructed;
  double reached = 1;          ///< share that is left of what the budget counts
  std::string missed;          ///< what of the budget was out of reach; empty where it was met
};

/// Whether weights are to be refitted: there are data, and the option says so.
bool reconstructs(const PassContext& context);

/// Closed-form recovery of a cut graph on the training data.
Reconstructed recover(const PassContext& context, const UnitTable& table, Chosen& chosen);

/// Meets the budget by the criterion and the scope that the options name. Where they are left to `auto` and there are data,
/// taylor (with labels) and l2, each with global and layer, are cut and reconstructed, and the one with the least loss on
/// at most 2048 validation samples is taken (resources.validation, else a tenth of the training data is kept from all four):
/// cross-entropy or squared error with labels, KL divergence from the original's scores without.
/// Where align is `auto` too, and the best way costs more than a point of top1 (or agreement), its criterion is tried again in
/// steps of 4, with both scopes and with mixed, which divides worth by the root of its group's mean only. The best of these is
/// taken where it at least halves what the cut adds to the original's loss, or lessens it and the coarse steps left more than
/// 2 % of the budget unused.
/// Without data auto is l2, global, and steps of 16 and 8 (aligned_step). `table`: as assigned. A budget out of reach is told
/// by PassContext::missed, and the smallest result is taken. Throws Error(usage) for taylor without labels.
Trial best_trial(PassContext& context, const UnitTable& table, const BudgetOptions& budget);

/// "12.5 %".
std::string percent(double share);

}  // namespace espalier
