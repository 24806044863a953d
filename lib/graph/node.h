#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/tensor/tensor.h"

namespace espalier {

class Graph;

/// Ids are stable and never reused within a graph.
using ValueId = int32_t;
using NodeId = int32_t;
/// An omitted optional input or output; no such node.
inline constexpr int32_t kNone = -1;

/// A body of If, Loop or Scan. Immutable and shared: to change one, copy the graph and set the attribute anew.
using Body = std::shared_ptr<const Graph>;

struct Attribute {
  using Value = std::variant<std::monostate, int64_t, float, std::string, Tensor, Body, std::vector<int64_t>,
                             std::vector<float>, std::vector<std::string>, std::vector<Tensor>, std::vector<Body>>;
  std::string name;
  Value value;       ///< monostate: a kind that is only carried (reference to a function's attribute, sparse tensor)
  std::string rest;  ///< what a reader of the file sees beside name and value, as lib/onnx_io keeps it
};

/// One use of an operator. Read through Graph, changed through Graph.
struct Node {
  std::string op_type;
  std::vector<ValueId> inputs;   ///< kNone: omitted
  std::vector<ValueId> outputs;  ///< kNone: omitted
  std::vector<Attribute> attributes;
  std::string name;
  std::string domain;          ///< "" is ONNX's default domain ("ai.onnx" is read as that); kInternalDomain: ours
  int version = 0;             ///< the opset version of its domain under which the node is to be read
  NodeId forward_of = kNone;   ///< in a training graph: the forward node whose gradient this node takes part in
  std::string rest;            ///< as Attribute::rest

  /// The attribute, or nullptr.
  const Attribute* find(std::string_view attribute) const;
  bool has(std::string_view attribute) const { return find(attribute) != nullptr; }
  /// The attribute's value, or `otherwise` if it is absent. Throws Error(bad_data) if it is of another kind.
  /// T: int64_t, float, std::string, Tensor, Body and vectors of them.
  template <class T>
  T get(std::string_view attribute, T otherwise) const;
  /// The attribute's value. Throws Error(bad_data) if it is absent or of another kind.
  template <class T>
  T require(std::string_view attribute) const;

  bool has_input(size_t i) const { return i < inputs.size() && inputs[i] != kNone; }
  bool has_output(size_t i) const { return i < outputs.size() && outputs[i] != kNone; }
  /// "node 'conv1' (Conv)"; a nameless node is called by its op alone.
  std::string where() const;
};

/// Domain of operators that only we know: gradients and training ops. Never exported.
inline constexpr std::string_view kInternalDomain = "ai.espalier";

namespace detail {
[[noreturn]] void wrong_attribute(const Node& node, std::string_view attribute, bool present);
}

template <class T>
T Node::get(std::string_view attribute, T otherwise) const {
  const Attribute* found = find(attribute);
  if (!found) return otherwise;
  if (const T* value = std::get_if<T>(&found->value)) return *value;
  detail::wrong_attribute(*this, attribute, true);
}

template <class T>
T Node::require(std::string_view attribute) const {
  const Attribute* found = find(attribute);
  if (found) {
    if (const T* value = std::get_if<T>(&found->value)) return *value;
  }
  detail::wrong_attribute(*this, attribute, found != nullptr);
}

}  // namespace espalier
