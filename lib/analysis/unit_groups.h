#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/analysis/infer.h"
#include "lib/ops/units.h"

namespace espalier {

/// A state that a caller carries from run to run: what the output holds goes into the input of the next run.
using DeclaredState = std::pair<std::string, std::string>;  ///< names of the graph input and of the graph output

/// Where the unit rules of a node come from; empty: find_op. Tests put a wrong rule in, and see who notices.
using UnitRules = std::function<const Op*(const Node&)>;

/// Unit ids of a graph: DESIGN.md section 7. Ids are born at weights and follow each op's index semantics; joined ids are
/// one unit, which goes or stays whole. `graph` is kept by address and must outlive the result.
/// input_dims: sizes of graph inputs by name; symbolic and unknown sizes of others are taken as 1, or as larger ones where
/// the net needs them (a window larger than its input).
/// states: inputs and outputs that may shrink together. Such an input bears the ids that arrive at its output, on the same
/// axes; joined, they are not frozen for being outside. What finds no common form stays frozen, with that reason.
/// Throws Error(bad_data) as infer() does, Error(usage) for a state that is no input and output of one shape.
UnitTable assign_units(const Graph& graph, const std::map<std::string, Dims>& input_dims = {}, const std::vector<DeclaredState>& states = {},
                       const UnitRules& rules = {});

/// The dims given, completed by the declared ones; for what is not known 1, or `open` on axes after the first.
std::map<std::string, Dims> concrete_inputs(const Graph& graph, const std::map<std::string, Dims>& given = {}, int64_t open = 1);

/// A connected component of bundles: units whose numbers are chosen together.
struct UnitGroup {
  std::string name;                  ///< of the first weight that bears them: "conv1"
  std::vector<int32_t> members;      ///< roots, ascending
  std::vector<int32_t> free;         ///< those that may go
  std::vector<RowConstraint> rows;   ///< rows of roots that must keep equally many
  std::vector<IndexArray> bundles;   ///< [rows, n] of roots: each row keeps at least one position
};

/// All groups, by their smallest member; those without a free unit too.
std::vector<UnitGroup> unit_groups(const UnitTable& table);

/// Number of frozen units by reason.
std::map<std::string, int64_t> frozen_reasons(const UnitTable& table, const std::vector<UnitGroup>& groups);

/// Values of the graph that a node's bodies read from outside.
std::vector<ValueId> captured_values(const Graph& graph, const Node& node);

/// Nodes that reach an output and whose results are not all constant: those that unit rules visit, in order.
std::vector<NodeId> visited_nodes(const UnitTable& table);

/// The op whose rules fit the node, or nullptr where it is opaque: no rule, or a shape that depends on data.
const Op* unit_op(const UnitTable& table, const Node& node, const UnitRules& rules = {});

/// A name for a node: its own, or that of its first output.
std::string node_name(const Graph& graph, NodeId id);
/// A name for where units are born: a node's, or a declared state's.
std::string birth_name(const Graph& graph, const UnitBirth& birth);

}  // namespace espalier
