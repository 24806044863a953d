#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// Edits of a graph, collected and applied at once. Passes edit through it:
///
///     Patch patch(graph);
///     const ValueId w = patch.add_constant("w_folded", folded);
///     const ValueId y = patch.add_node("Conv", {x, w}, {{"group", int64_t{1}, {}}}, "y_folded");
///     patch.replace(old_y, y);
///     patch.apply(graph, types);
class Patch {
 public:
  /// What is known of the type of a value that the graph has; an unknown Type where nothing is.
  using TypeOf = std::function<Type(ValueId)>;

  /// A patch of this graph, which must not change before apply().
  explicit Patch(const Graph& graph);

  /// New values, valid at once as inputs and outputs of nodes of this patch. `type`: what the caller knows of it.
  ValueId add_value(std::string base, Type type = {});
  ValueId add_constant(std::string base, Tensor tensor);

  /// A new node. It is placed before the first node that needs it. A version of 0 becomes the graph's for that domain.
  void add_node(Node node);
  /// The same with one output of its own; returns it.
  ValueId add_node(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {},
                   std::string output = "", Type type = {});

  /// Every read of `old`, but for those of this patch's own nodes, becomes a read of `with`. Where old's name is needed
  /// (a graph output, a body that reads it), the name and id stay and `with` is made under them, by Identity where
  /// `with` must keep its own name.
  void replace(ValueId old, ValueId with);

  /// Applies everything, then removes the nodes and initialisers that were only needed for what was replaced, and restores
  /// an order in which the nodes can run. Throws Error(internal), with the graph as it was, where a replacement's
  /// known element type, rank or size differs from the old value's, or where the graph was changed since.
  void apply(Graph& graph, const TypeOf& type_of);

  bool empty() const { return nodes_.empty() && replacements_.empty(); }

 private:
  struct NewValue {
    std::string base;
    Type type;
    Tensor constant;
  };
  struct Replacement {
    ValueId old, with;
  };
  ValueId final_value(ValueId id) const;
  Type type_of_value(ValueId id, const TypeOf& type_of) const;
  void require_same_types(const Graph& graph, const TypeOf& type_of) const;

  size_t value_count_, node_limit_;
  std::vector<NewValue> values_;
  std::vector<Node> nodes_;
  std::vector<Replacement> replacements_;
};

/// Puts the nodes into an order in which they can run, names that bodies read counted; nodes move to the front only as far as
/// a reader needs them. Throws Error(internal) for a cycle.
void sort_nodes(Graph& graph);

}  // namespace espalier
