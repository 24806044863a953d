#pragma once

#include "lib/graph/node.h"

namespace espalier {

/// Where a Loop or Scan has the values that go from one iteration to the next.
struct CarriedStates {
  size_t count;
  size_t inputs;       ///< of the node, the outputs of an opened body not counted
  size_t first_input;  ///< of the states, among them
  size_t in_body;      ///< first of the body's inputs
  size_t out_of_body;  ///< first of the body's outputs; what is stacked follows
};

/// Attribute of an opened node: which of its states keep one known size and may shrink, by position.
inline constexpr const char* kCarried = "carried";

/// opened: the node's inputs are followed by its body's outputs (OpenedBodies).
CarriedStates carried_states(const Node& node, bool opened);

}  // namespace espalier
