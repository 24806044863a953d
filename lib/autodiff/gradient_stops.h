#pragma once

#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// The nodes between the wanted values and `loss` that turn floats into something that carries no gradient (ArgMax, Equal,
/// a Cast to integers ...), in execution order: why differentiate() leaves a wanted value out though the loss is calculated
/// from it. Throws as infer() does.
std::vector<NodeId> gradient_stops(const Graph& forward, ValueId loss, std::span<const ValueId> wanted);

}  // namespace espalier
