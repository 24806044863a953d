#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier::testing {

/// A graph in the text form, from its body: the values that no line makes are inputs declared in `inputs`, opset 13 unless
/// `opset` says else, outputs none. `body({"x: float[2,3]"}, "y = Relu(x)")`.
Graph graph_of(std::string_view inputs, std::string_view body, int opset = 13);

/// Type that the ops' `infer` gives value `name`, node after node: "float[2,n]". Initialisers are known to it as constants;
/// nothing is evaluated.
std::string type_of(const Graph& graph, std::string_view name = "y");
/// Its numbers, where they are known: "[n,3]"; an empty string where not.
std::string numbers_of(const Graph& graph, std::string_view name = "y");
/// Its elements by `infer`, then `evaluate`, of all nodes on the graph's initialisers.
Tensor value_of(const Graph& graph, std::string_view name = "y");
/// The message with which `infer` or `evaluate` refuses the graph; an empty string if it does not.
std::string refusal(const Graph& graph, std::string_view name = "y");

}  // namespace espalier::testing
