#pragma once

#include <vector>

#include "lib/analysis/infer.h"

namespace espalier {

struct NodeCost {
  NodeId node = kNone;
  Cost cost;
};

/// What one run of a graph costs: of an If the dearer branch, of a Loop or Scan all trips, where their number is known.
struct CostTotals {
  int64_t macs = 0;    ///< of Conv, MatMul, Gemm, RNN and attention; 1 MAC = 2 FLOPs
  int64_t flops = 0;   ///< 2 per MAC included
  int64_t bytes = 0;   ///< bytes read and written by all nodes
  int64_t params = 0;  ///< elements of all float initialisers and constants that nodes fill, bodies included
  std::vector<NodeCost> nodes;   ///< those that could be counted, in order
  std::vector<NodeId> opaque;    ///< no operator of ours: not counted
  std::vector<NodeId> unsized;   ///< a size is not known, so not counted: bind the symbols before (InferOptions)
};

/// Totals over the graph with the sizes in `facts`. An op without a `cost` facet counts as bytes moved only; nodes whose
/// results are constants cost nothing, since they are folded.
CostTotals graph_cost(const Graph& graph, const FactTable& facts);

}  // namespace espalier
