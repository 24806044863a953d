#pragma once

#include <string>
#include <vector>

#include "lib/analysis/unit_groups.h"
#include "passes/pass.h"

namespace espalier::passes {

/// The states that "in:out,in2:out2" declares; names may hold colons themselves. Throws Error(usage) for what is no input and
/// output of the graph.
std::vector<DeclaredState> states_of(const Graph& graph, const std::string& text);

/// Throws Error(usage) where states may shrink and samples are given: these hold the states as they were, and nothing that
/// learns or measures on them could feed the pruned model.
void refuse_states_with_data(const PassContext& context, const UnitTable& table);

/// Notes what callers of the model have to know: its states have other sizes.
void note_states(PassContext& context, const UnitTable& table, const Graph& cut);

}  // namespace espalier::passes
