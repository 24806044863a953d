#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/node.h"
#include "lib/graph/type.h"

namespace espalier {

struct Value {
  std::string name;        ///< unique in its graph
  Type type;               ///< as declared in the file (inputs, outputs, value_info); inference never writes here
  bool declared = false;   ///< listed in value_info
  bool captured = false;   ///< in a body: belongs to an enclosing graph, found there by its name
  bool carried = false;    ///< a constant that only the graph's `rest` holds (a sparse initialiser)
};

/// A tensor that the file holds for a value.
struct Initializer {
  Tensor tensor;
  std::string rest;  ///< doc string, storage form and the like, as lib/onnx_io keeps them
};

/// (input, output): the output of one run is the input of the next (running statistics, counters).
struct StatePair {
  ValueId input, output;
};

/// A computation: nodes in an order in which they can run, over named values. A regular value: copying copies the
/// structure and shares the tensors. Nodes are changed only through the members below, which keep the use lists.
/// Ids out of range throw Error(internal).
class Graph {
 public:
  std::string name;
  std::map<std::string, int> opsets;  ///< domain -> version; "" is the default domain
  std::vector<ValueId> inputs;        ///< in the file's order; may include initialised values (IR < 4)
  std::vector<ValueId> outputs;       ///< the same value may stand twice
  std::vector<StatePair> state_pairs; ///< of training graphs
  std::string rest;                   ///< as Attribute::rest

  int opset() const;  ///< version of the default domain; 1 where it is not imported

  // Values.
  /// Adds a value; an empty name, or one that exists, is made unique (`base`, `base_1`, ...).
  ValueId add_value(std::string base, Type type = {});
  const Value& value(ValueId id) const;
  Value& value(ValueId id);
  size_t value_count() const { return values_.size(); }  ///< every id below it is a value, used or not
  ValueId find_value(std::string_view value_name) const;  ///< kNone if there is none
  void rename_value(ValueId id, std::string new_name);    ///< Throws Error(internal) if the name is taken.

  // Nodes.
  /// Adds a node at the end, or before `before`. Its outputs must have no producer.
  NodeId add_node(Node node, NodeId before = kNone);
  const Node& node(NodeId id) const;
  std::span<const NodeId> nodes() const { return order_; }  ///< in execution order
  bool contains(NodeId id) const;
  size_t node_limit() const { return nodes_.size(); }  ///< every node id is below it
  void erase_node(NodeId id);                          ///< its outputs keep their ids, without a producer
  void set_input(NodeId id, size_t index, ValueId to);
  void set_inputs(NodeId id, std::vector<ValueId> to);
  void set_outputs(NodeId id, std::vector<ValueId> to);
  void set_attribute(NodeId id, Attribute attribute);  ///< adds or replaces
  void set_attribute(NodeId id, std::string attribute, Attribute::Value value);
  void erase_attribute(NodeId id, std::string_view attribute);
  void set_node_name(NodeId id, std::string node_name);
  void set_op_type(NodeId id, std::string op_type, int version);
  void reorder(std::vector<NodeId> order);  ///< Throws Error(internal) unless it is a permutation of nodes()

  // Edges.
  NodeId producer(ValueId id) const;                  ///< kNone for inputs, initialisers and captured values
  std::span<const NodeId> users(ValueId id) const;    ///< nodes that read it, each once, bodies not entered
  bool is_input(ValueId id) const;
  bool is_output(ValueId id) const;
  /// Every read of `from`, by nodes and graph outputs, becomes a read of `to`. Bodies that capture `from` by name keep
  /// it: callers ask captured_by_bodies first.
  void replace_uses(ValueId from, ValueId to);
  /// Names that bodies of this graph's nodes read from outside themselves.
  std::vector<std::string> captured_by_bodies() const;

  // Constants.
  const Tensor* initializer(ValueId id) const;  ///< nullptr if it has none
  const std::vector<std::pair<ValueId, Initializer>>& initializers() const { return initializers_; }
  void set_initializer(ValueId id, Tensor tensor);  ///< adds at the end or replaces (keeping `rest` only if type and dims stay)
  void set_initializer(ValueId id, Initializer initializer);
  void erase_initializer(ValueId id);
  /// The constant behind a value: its initialiser, or the `value` of the Constant node that makes it; nullptr otherwise.
  /// An initialiser that is also a graph input counts as a constant (as every runtime treats it unless it is fed).
  const Tensor* constant(ValueId id) const;

 private:
  void link(NodeId id);
  void unlink(NodeId id);

  std::vector<Value> values_;
  std::unordered_map<std::string, ValueId> by_name_;
  std::vector<std::optional<Node>> nodes_;
  std::vector<NodeId> order_;
  std::vector<NodeId> producers_;            // by value
  std::vector<std::vector<NodeId>> users_;   // by value
  std::vector<std::pair<ValueId, Initializer>> initializers_;
  std::unordered_map<ValueId, size_t> initializer_index_;
};

/// A model: a graph and what the file says beside it.
struct Model {
  Graph graph;
  int64_t ir_version = 8;
  std::string producer_name, producer_version, domain, doc_string;
  int64_t model_version = 0;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< metadata_props, in order
  std::string rest;  ///< functions, training info and fields newer than the library, as lib/onnx_io keeps them
};

/// Same computation written the same way: nodes, values by name, constants and interface. Ids and `rest` are not compared.
bool same_graph(const Graph& a, const Graph& b);

/// Checks the structure: every read value is made earlier or is an input, initialiser or captured; one producer a value;
/// names unique; outputs made; bodies likewise. Throws Error(kind) naming the first fault.
void verify(const Graph& graph, int depth = 0);

}  // namespace espalier
