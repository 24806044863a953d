#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/ops/infer.h"

namespace espalier {

/// What the gradient of an If asks of each of its branches.
struct BranchRequest {
  std::vector<std::string> grads;   ///< by output of the If: the value that is its gradient; empty where none flows
  std::vector<std::string> wanted;  ///< values of the enclosing graph whose gradients are asked for
  std::map<std::string, Fact> facts;  ///< of all values that the branch, or `grads`, name in the enclosing graph
};

/// A body without inputs that runs the branch again and returns, for each wanted value c, the sum over the outputs y of
/// dy * d y / d c, zeros of c's shape where the branch does not use it. Running again costs one forward pass and keeps
/// nothing alive between the two Ifs.
/// Throws Error(bad_data) as differentiate() does.
Body branch_gradient(const Graph& branch, const BranchRequest& request);

}  // namespace espalier
