#pragma once

#include <string>
#include <vector>

#include "lib/analysis/unit_groups.h"
#include "passes/pass.h"

namespace espalier::passes {

/// The states that "in:out,in2:out2" declares; names may hold colons themselves. Throws Error(usage) for what is no input and
/// output of the graph.
std::vector<DeclaredState> states_of(const Graph& graph, const std::string& text);

/// Notes what callers of the model have to know: its states have other sizes.
void note_states(PassContext& context, const UnitTable& table, const Graph& cut);

}  // namespace espalier::passes
