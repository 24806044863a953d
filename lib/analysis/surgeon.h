#pragma once

#include <string>
#include <vector>

#include "lib/analysis/unit_groups.h"
#include "lib/ops/cut.h"

namespace espalier {

/// A graph without the units that were not kept.
struct CutGraph {
  Graph graph;
  std::vector<std::vector<Bundle>> kept;  ///< by value of the original: coordinates left of each axis that lost something
  std::vector<std::string> gathers;       ///< why each Gather had to be added
};

/// Cuts all units out whose root is not in `keep` (by id of a root; a frozen one must be kept). Weights are gathered by
/// coordinate, per use; equal results are shared. Nodes in which nothing was removed stay byte for byte; dynamic sizes stay
/// dynamic; a size that reaches data stays the original number. Declared types of inner values that changed are dropped.
/// Throws Inexpressible where ONNX cannot say it with one Gather: freeze its ids and choose again. Throws Error(internal)
/// where a rule and the ids disagree, or inference of the result does not find the sizes that are left.
CutGraph cut_units(const UnitTable& table, const std::vector<bool>& keep, const UnitRules& rules = {});

}  // namespace espalier
