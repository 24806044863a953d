#pragma once

#include "lib/graph/graph.h"

namespace espalier {

/// The graph for batches of n: axis 0 of every input (of rank 1 and more, without an initialiser) becomes n, and what was
/// written for another batch follows: constant shape operands of Reshape and Expand, declared types. A Reshape says -1
/// for the batch, so that the result is right for any batch its inputs are declared with. Weights are not touched.
/// The result on n samples is what n runs of the original make. Throws Error(bad_data) naming the node where samples
/// would meet (a sum, Softmax or Concat over the batch axis) or where the batch is written into something else.
Graph rebatch(const Graph& graph, int64_t n);

}  // namespace espalier
