#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/analysis/surgeon.h"
#include "lib/analysis/unit_groups.h"

namespace espalier {

/// How many free units each group keeps (at least 1 where it has any), in the order of the groups.
using KeepCounts = std::function<std::vector<int64_t>(const std::vector<UnitGroup>&)>;

struct ChooseOptions {
  KeepCounts counts;
  /// Worth of a unit by its id when ids were assigned; higher stays. Empty: drawn from the seed.
  std::vector<double> scores;
  uint64_t seed = 0;
  UnitRules rules = {};  ///< those that the table was made with
};

/// What stays, and the graph that is left.
struct Chosen {
  std::vector<bool> keep;  ///< by root
  CutGraph cut;
  std::vector<std::string> notes;  ///< rows that had to be tied, units frozen because ONNX cannot say their cut
};

/// Chooses and cuts: the best units by score of each group so that rows keep equally many and no axis vanishes. A group
/// aims at its count; rows may move it a little. Rows that contradict one another are tied (they then keep the same
/// positions) and what the surgeon cannot say is frozen, both for good in `table`, and the choice is made again.
Chosen choose_units(UnitTable& table, const ChooseOptions& options);

/// Exactly these units, a plan's. Throws Error(bad_data) where a frozen unit goes, rows keep unequally many, an axis
/// vanishes, or ONNX cannot say it.
Chosen cut_chosen(UnitTable& table, const std::vector<bool>& keep);

/// Every group keeps the same share of its free units: max(1, round(share * free)).
KeepCounts keep_share(double share);

}  // namespace espalier
