#pragma once

#include <span>
#include <string>

#include "lib/report/json.h"
#include "passes/pass.h"

namespace espalier {

/// What the passes of a run did, as a table for people (one row a pass), with their notes below.
std::string pass_table(std::span<const PassReport> reports);
/// The same for programs.
Json to_json(std::span<const PassReport> reports);
/// "passed", "unchanged", "unverified" or "off".
std::string_view name(Verification::State state);

}  // namespace espalier
