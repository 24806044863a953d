#pragma once

#include "passes/pass.h"

namespace espalier::passes {

/// Puts the branch that is taken in the place of an If whose condition is known, in the graph and in bodies.
///
///     c: bool[] = {1}
///     y = If(c) {then_branch = graph () -> (t) { t = Relu(x) },     ->     y = Relu(x)
///                else_branch = graph () -> (e) { e = Neg(x) }}
///
/// Legal wherever inference knows the condition, from constants and from known shapes. Values of the branch get new names where
/// the graph or one of its bodies has theirs already; what its own bodies capture is renamed with them. The other branch is
/// dropped, so the file shrinks. What the branch read from outside is no longer frozen for pruning.
extern const Pass inline_if;

/// The same on a graph by itself; what prune does first. Returns how many nodes were replaced.
int64_t inline_known_branches(Graph& graph);

}  // namespace espalier::passes
