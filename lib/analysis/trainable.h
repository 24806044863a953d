#pragma once

#include <vector>

#include "lib/analysis/infer.h"

namespace espalier {

/// Initialisers and Constant outputs that are trainable weights, each once, in the order of first use.
///
/// A float constant is one where it is an input that its op's `parameters` facet names (Conv W and B, the constant side of
/// MatMul, norm scale and bias ...), or the constant operand of an Add, Sub, Mul or Div whose other operand comes from such
/// an op, directly or through views, Transpose, Concat and other such operands, and which has more than one element (a scalar
/// there is an epsilon or a fixed factor); so are positions and, repeated over the samples and joined by Concat with values
/// of such an op, class tokens. It is found through Identity, Transpose and views of it. Not trainable: masks, means and
/// variances of BatchNormalization, constants of other ops, integers, and what only opaque ops read. What the branches of an
/// If read of the graph counts as if it stood there; constants inside branches and what Loop and Scan read do not.
std::vector<ValueId> trainable_parameters(const Graph& graph, const FactTable& facts);

}  // namespace espalier
