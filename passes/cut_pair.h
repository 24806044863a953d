#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// Two graphs made comparable by cutting both at their opaque nodes: what goes into such a node is a further output of
/// each, what comes out of it a further input, fed alike to both. Nodes that no compared output needs are left out.
struct CutPair {
  Graph before, after;
  /// Outputs that stand for the same value, by their names before and after.
  std::vector<std::pair<std::string, std::string>> compared;
  /// What could not be set side by side, in words.
  std::vector<std::string> open;
};

/// `fed`: names of graph inputs that the caller has tensors for; others must have an element type and a rank, or what hangs
/// on them is not compared. Throws Error(verification) where an output of `before` is no output of `after`.
CutPair cut_at_opaque_nodes(const Graph& before, const Graph& after, const std::set<std::string>& fed);

}  // namespace espalier
