#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/analysis/unit_groups.h"

namespace espalier {

/// How the worth of a unit is estimated from its weights.
enum class Criterion {
  l1,          ///< sum of |w|                                     (Li et al. 2017)
  l2,          ///< square root of the sum of w^2
  batch_norm,  ///< sum of |scale| of BatchNormalization            (Liu et al. 2017, network slimming)
  taylor,      ///< sum of |dL/dw * w|, first-order Taylor expansion (Molchanov et al. 2019)
  random,
};

/// "l1", "l2", "bn", "taylor", "random". Throws Error(usage) for another name.
Criterion parse_criterion(std::string_view text);
std::string_view name(Criterion criterion);

struct ImportanceOptions {
  Criterion criterion = Criterion::l2;
  /// For taylor: the size of dL/dw by name of the initialiser, of the initialiser's dims.
  std::map<std::string, Tensor> gradients;
  uint64_t seed = 0;
  /// Each group is divided by its mean to this power. 1: what a unit is worth beside its like; 0: what it is worth to the net;
  /// in [0, 1].
  double normalisation = 1;
};

/// Worth by id (that of a class stands at its root, 0 elsewhere), over all weights in which the unit stands: output rows
/// and input columns of every layer it runs through, biases left out. Groups are normalised, so that they compare.
/// batch_norm: a group without a BatchNormalization is judged by l2.
/// Throws Error(usage) for taylor where no weight of any group has a gradient, Error(bad_data) where weights of free units are NaN
/// or infinite, Error(non_finite) where gradients are.
std::vector<double> unit_importance(const UnitTable& table, const ImportanceOptions& options);

}  // namespace espalier
