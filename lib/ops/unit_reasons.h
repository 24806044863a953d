#pragma once

#include <string>

namespace espalier {

struct Node;

/// Why a node without a fitting unit rule freezes the channels that reach it, for a user to read.
/// sized: the sizes of all its operands and results are known.
std::string freeze_reason(const Node& node, bool sized);

}  // namespace espalier
