#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/fuzz/random_graph.h"

namespace espalier::testing {

/// One way in which a graph must agree with its reference.
struct DifferentialCheck {
  enum class Result { agreed, nothing_to_check };
  std::string name;
  std::string summary;
  /// Throws std::exception with what disagrees.
  std::function<Result(const RandomGraph&)> run;
};

/// `plan`, `held` (weights in the store), `simplify`, `gradients` and `prune`.
const std::vector<DifferentialCheck>& differential_checks();

/// What an output should be, and how far another calculation of it may lie away: 1e-4 of its scale for float, and at least
/// 64 times the distance between its own calculation and that in double, for what is badly conditioned.
struct Expected {
  Tensor tensor;
  double tolerance = 0;
};
std::map<std::string, Expected> expected_outputs(const RandomGraph& random);

/// Throws std::runtime_error naming the output and the place.
void require_close(const std::string& name, const Tensor& actual, const Expected& expected);

}  // namespace espalier::testing
