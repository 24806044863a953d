#pragma once

#include <map>
#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace espalier::testing {

struct GradientCheck {
  double low = -1, high = 1;            ///< range of the float inputs, whose values are all distinct and never 0
  std::map<std::string, Tensor> feeds = {};  ///< values of other inputs, or instead of random ones
  std::set<std::string> fixed = {};     ///< float inputs that no gradient is asked for
  bool output_is_loss = false;          ///< else the loss is the mean squared distance of the first output from a target
  double tolerance = 1e-6;              ///< relative to 1 + |gradient|
};

/// Compares the gradients that differentiate() builds for all float inputs of a graph in text form with central
/// differences, everything in double. The symbol `n` in shapes is 2. Returns what is wrong, or an empty string.
std::string check_gradients(const std::string& text, const GradientCheck& options = {});

}  // namespace espalier::testing
