#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Takes out nodes whose output provably equals an input, in the graph and in bodies.
///
///     d = Dropout(x)
///     r = Reshape(d, shape_of_x)     ->     y = Relu(x)
///     y = Relu(r)
///
/// Identity; Dropout that does not train; Cast to the same type; Reshape, Flatten, Squeeze, Unsqueeze and Expand to the
/// same sizes; Transpose that moves nothing; Pad by 0; Slice of everything; Concat, Sum, Max, Min and Mean of one input;
/// Mul and Div by 1, Add and Sub of 0, Pow 1, where the constant does not widen the other operand; reductions over axes
/// of size 1. Inputs, outputs and what bodies read keep their names; where both names must stay, so does the node.
extern const Pass remove_identities;

}  // namespace espalier::passes
