#pragma once

#include <set>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/ops/lower.h"

namespace espalier {

/// Nodes that become one step: a node with what it absorbs, or a chain of elementwise nodes.
struct Group {
  std::vector<NodeId> nodes;    ///< in execution order; the step stands where the last of them stood
  NodeId anchor = kNone;        ///< the node that is lowered; kNone for a chain
  Fusion fusion;
  ValueId residual = kNone, mask = kNone, bias = kNone;
  std::vector<ValueId> inputs;  ///< the anchor's, with what an absorbed mask or Transpose reads in place of its result
  ValueId result = kNone;       ///< what takes output 0's place: the last fused value
};

struct FusionOptions {
  std::set<ValueId> wanted;    ///< values that must exist: graph outputs, gradients, states
  std::set<ValueId> weights;   ///< parameters: no residuals, no operands of interest
};

/// Groups the `live` nodes (in execution order) of a graph with known sizes. Chosen from what ops say they can absorb:
/// a value with one reader that reads its elements is not made. Values that only lend their shape do not count as read.
std::vector<Group> fuse(const Graph& graph, const FactTable& facts, const std::vector<NodeId>& live,
                        const FusionOptions& options);

/// A node by itself.
Group single_group(const Graph& graph, const FactTable& facts, NodeId id);

/// The operation that a node is on single elements, if it is one that plans can run: float, known sizes.
std::optional<ElementOp> element_of(const Graph& graph, const FactTable& facts, NodeId id);
/// Inputs of such a node that carry elements: both operands, all terms of a sum, not the bounds of a Clip.
std::vector<ValueId> element_operands(const Graph& graph, NodeId id, const ElementOp& op);

}  // namespace espalier
