#pragma once

#include <cstdint>
#include <vector>

#include "lib/ops/units.h"

namespace espalier {

/// Which of `free` stay (true), about `count` of them, the best by score, so that all rows of a constraint keep equally
/// many members; ids that are not in `free` always stay. unmet: indices of the constraints that could not be met.
struct Balanced {
  std::vector<bool> keep;
  std::vector<size_t> unmet;
};

/// scores: by position in `free`, any scale. Source: a search by single flips with a short tabu list.
Balanced balance(const std::vector<int32_t>& free, const std::vector<RowConstraint>& rows, int64_t count,
                 const std::vector<double>& scores, uint64_t seed);

}  // namespace espalier
