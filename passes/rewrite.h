#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"

namespace espalier {

/// Calls `edit` on every body of If, Loop and Scan inside `graph`, innermost first, and on `graph` itself last. `edit`
/// returns how much it changed; a body that changed is set anew. While a body is edited, its inputs have the types that hold in
/// every iteration, whatever the file declares, and what it reads from outside has its type there. Returns the sum.
int64_t edit_graphs(Graph& graph, const std::function<int64_t(Graph&)>& edit);

/// Changes a graph around one node and says whether it did. facts: of the graph before anything was changed.
using NodeEdit = bool (*)(Graph& graph, const FactTable& facts, const std::vector<bool>& captured, NodeId node);
/// edit_graphs() with an edit of each node that a graph has at first, in order. Returns how many changed something.
int64_t edit_nodes(Graph& graph, NodeEdit edit);

/// By value id: whether a body of one of the graph's nodes reads the value by its name.
std::vector<bool> captured_values(const Graph& graph);

/// Takes out a node whose only used output always equals the value `same`: its readers read `same` instead. Where the
/// output's name must stay (a graph output, or read by a body), the producer of `same` makes it under that name. Returns
/// false, and changes nothing, where neither can be: `same` is an input, an initialiser, has a name that must stay too, or
/// comes from an opaque node.
bool bypass_node(Graph& graph, NodeId id, ValueId same, const std::vector<bool>& captured);

/// Adds the names of all values of a graph and of its bodies.
void collect_names(const Graph& graph, std::set<std::string>& names);

/// The body with what it and its own bodies capture under new names.
Body rename_captured(const Body& body, const std::map<std::string, std::string>& names);

}  // namespace espalier
