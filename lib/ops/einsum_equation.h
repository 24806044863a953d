#pragma once

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// A label of an axis: a letter, or -1, -2 ... for the axes of an ellipsis, the last one first.
using Label = int;

/// What an Einsum says: the labels of each operand's axes, and of the result's, whose labels are all different.
struct Equation {
  std::vector<std::vector<Label>> inputs;
  std::vector<Label> output;

  bool in_output(Label label) const;
  bool in_input(size_t i, Label label) const;
  /// No operand has a label twice.
  bool has_no_diagonal() const;
};

/// Where a label stands; -1 where it does not.
int axis_of(const std::vector<Label>& labels, Label label);

/// The node's equation for operands of these ranks. Throws Error(bad_data) where it is none, or does not fit them.
Equation read_equation(const Node& node, const std::vector<int64_t>& ranks);

/// An equation in letters: "ab,bc->ac".
std::string to_text(const std::vector<std::vector<Label>>& inputs, const std::vector<Label>& output);

}  // namespace espalier
