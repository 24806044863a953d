#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Takes out nodes and initialisers that no output needs, in the graph and in bodies.
///
///     y = Relu(x)               y = Relu(x)
///     t = Exp(x)          ->
///     w = <initialiser>
///
/// Graph inputs always stay, and so does an initialiser that is also an input (its default value; before IR 4, where every
/// initialiser is listed as an input, it goes). A node of a domain that
/// we do not know stays too: it may do more than compute.
extern const Pass remove_dead_code;

}  // namespace espalier::passes
