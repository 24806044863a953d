#pragma once

#include "lib/graph/graph.h"

namespace espalier {

/// The graph in which activations are not rounded where QuantizeLinear, with one scale, feeds DequantizeLinear: real numbers
/// with the same scale, zero point and range pass between them. Two graphs that compute the same in another order of sums
/// differ by whole steps where a number lies between two of them; without rounding they do not.
Graph without_rounding(const Graph& graph);

}  // namespace espalier
