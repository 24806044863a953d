#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/ops/infer.h"

namespace espalier {

struct Gradient {
  ValueId param;  ///< the value that was wanted
  ValueId grad;   ///< d loss / d param, of its shape and type
};

/// Forward, loss and backward in one graph.
struct TrainingGraph {
  Graph graph;
  ValueId loss = kNone;
  std::vector<Gradient> gradients;  ///< in the order of `wanted`; a value that the loss does not depend on is left out
};

/// Reverse-mode differentiation of the scalar `loss` with respect to the values `wanted` (initialisers, inputs or any
/// other float values), by the `gradient` facets of the ops (lib/ops/gradient.h).
///
/// The result holds the nodes and values of `forward` under their own ids, then the backward nodes, whose `forward_of`
/// names the forward node they belong to. Its outputs are those of `forward`, the loss and the gradients. Contributions to
/// one value are summed with Add or Sum. Nothing is built that reaches no wanted value, and outputs of backward nodes that
/// nobody reads are omitted. Gradients flow through floats and through what QuantizeLinear makes.
/// The gradient of an If is an If on the same condition whose branches compute the gradients of what its branches read from
/// outside (branch_gradient.h).
///
/// Throws Error(bad_data) for a loss that is not one float element, and for nodes on the way that have no gradient: the
/// message names all of them.
TrainingGraph differentiate(const Graph& forward, ValueId loss, std::span<const ValueId> wanted);
/// The same for a body: `captured` says what is known of values that it reads from outside, by name.
TrainingGraph differentiate(const Graph& forward, ValueId loss, std::span<const ValueId> wanted,
                            const std::map<std::string, Fact>& captured);

}  // namespace espalier
