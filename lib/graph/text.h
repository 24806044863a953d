#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/graph/graph.h"

namespace espalier {

struct PrintOptions {
  /// Tensors of more elements are printed as `elided`, which cannot be parsed back; -1: all are printed in full.
  int64_t max_elements = 32;
};

/// The graph of a text in our form; README.md of this room has the grammar. Every name must be made before it is used.
/// Throws Error(bad_data) with line and column.
Graph parse_graph(std::string_view text);

/// A tensor as it stands in the text form: `float[2] {1, 2}`. Throws Error(bad_data) with line and column.
Tensor parse_tensor(std::string_view text);

/// The graph as text. parse_graph(print_graph(g, {.max_elements = -1})) is the same graph (same_graph). Not printed:
/// `rest` strings, forward_of, and attributes that are only carried (`?`).
std::string print_graph(const Graph& graph, const PrintOptions& options = {});

/// Type and elements: `float[2] {1, 2}`.
std::string print_tensor(const Tensor& tensor, const PrintOptions& options = {});

}  // namespace espalier
