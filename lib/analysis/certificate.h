#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/analysis/surgeon.h"

namespace espalier {

/// Runs a graph on tensors by input name and returns its outputs by name.
using GraphRunner = std::function<std::map<std::string, Tensor>(const Graph&, const std::map<std::string, Tensor>&)>;

/// The plain reference in double.
GraphRunner reference_runner();

/// The untouched original, with every operand along which a unit is summed away multiplied by 0 where the unit is not
/// kept. What it computes, the cut graph must compute too.
Graph masked_original(const UnitTable& table, const std::vector<bool>& keep);

/// What a certificate found. Errors are shares of the output's largest absolute value.
struct Certificate {
  double error = 0;      ///< of the cut graph against the masked original
  double moved = 0;      ///< of the masked original against the original
  bool vacuous = false;  ///< nothing was removed, or no output moved: it proves nothing
  size_t values = 0;     ///< outputs compared
};

/// Compares the cut graph with the masked original, both without_rounding (quantization.h), before a final Sigmoid, Softmax or ArgMax, where errors would drown.
/// Throws what the runner throws (an opaque op cannot be run).
Certificate certify(const UnitTable& table, const std::vector<bool>& keep, const CutGraph& cut,
                    const std::map<std::string, Tensor>& feeds, const GraphRunner& runner = reference_runner());

/// The first value of the cut graph that is not the masked original's at its kept coordinates.
struct InnerDifference {
  NodeId node = kNone;
  std::string value;
  double error = 0;  ///< infinity: another shape
};

/// Every value of the cut graph against the masked original's at its kept coordinates, in double. For tests: it names
/// the first bad node, and it sees what a saturated output hides.
std::optional<InnerDifference> first_difference(const UnitTable& table, const std::vector<bool>& keep, const CutGraph& cut,
                                                const std::map<std::string, Tensor>& feeds, double tolerance = 1e-9);

/// Normal numbers for float inputs, 0 or 1 for integers, of the sizes that `table` was made for.
std::map<std::string, Tensor> random_feeds(const UnitTable& table, uint64_t seed);

}  // namespace espalier
