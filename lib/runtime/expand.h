#pragma once

#include "lib/analysis/infer.h"

namespace espalier {

/// Rewrites operators that are best run as several others: Attention and its gradient become matrix products, Softmax and
/// elementwise chains, which all have fast steps; so do forms that have none (expand_forms.h). Of nodes on floats whose sizes
/// are all known; what is rewritten computes the same. Returns whether anything was.
bool expand_operators(Graph& graph, const FactTable& facts);

}  // namespace espalier
