#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// What is known of a value before anything runs.
struct Fact {
  Type type;
  /// The value itself, where it follows from constants and known shapes.
  std::optional<Tensor> constant;
  /// For small integer tensors of rank 0 or 1 (shape arithmetic): each element as a possibly symbolic number.
  std::optional<std::vector<Dim>> numbers;
};

/// Infers the body in attribute `attribute` of the node from facts of its inputs; what the body reads from outside is known
/// to whoever infers. Returns one fact a body output.
using InferBody = std::function<std::vector<Fact>(std::string_view attribute, const std::vector<Fact>& inputs)>;

/// One node during inference: its inputs' facts are read, its outputs' facts are set. Shapes are validated here:
/// fail() throws Error(bad_data) that names node and op.
class InferContext {
 public:
  InferContext(const Graph& graph, NodeId id, std::vector<const Fact*> inputs)
      : graph_(graph), node_(graph.node(id)), inputs_(std::move(inputs)), outputs_(node_.outputs.size()) {}

  const Node& node() const { return node_; }
  const Graph& graph() const { return graph_; }
  int version() const { return node_.version; }

  size_t input_count() const { return node_.inputs.size(); }
  size_t output_count() const { return node_.outputs.size(); }
  bool has_input(size_t i) const { return node_.has_input(i); }
  bool has_output(size_t i) const { return node_.has_output(i); }
  /// Facts of input i; an empty fact for an omitted input.
  const Fact& input(size_t i) const;
  const Type& type(size_t i) const { return input(i).type; }
  DataType elem_type(size_t i) const { return type(i).elem_type; }
  bool has_rank(size_t i) const { return type(i).is_tensor() && type(i).has_rank(); }
  const SymbolicDims& dims(size_t i) const { return *type(i).dims; }  ///< needs has_rank(i)
  int64_t rank(size_t i) const { return type(i).rank(); }
  /// The constant behind input i, or nullptr.
  const Tensor* constant(size_t i) const;
  /// Elements of a small integer input (axes, shapes, starts): known numbers only, or nothing.
  std::optional<std::vector<int64_t>> integers(size_t i) const;
  /// The same, each possibly symbolic.
  std::optional<std::vector<Dim>> numbers(size_t i) const;

  /// Attribute `attribute` up to the version before `input_since`, input i from it on; nothing where it is absent, and
  /// `*unknown` is set where it is an input whose elements are not known.
  std::optional<std::vector<int64_t>> integers_from(std::string_view attribute, size_t i, int input_since, bool* unknown) const;

  void set(size_t output, Type type) { outputs_[output].type = std::move(type); }
  void set(size_t output, DataType elem_type, SymbolicDims dims) { set(output, Type::tensor(elem_type, std::move(dims))); }
  void set_numbers(size_t output, std::vector<Dim> numbers) { outputs_[output].numbers = std::move(numbers); }
  void set_constant(size_t output, Tensor tensor) { outputs_[output].constant = std::move(tensor); }
  std::vector<Fact>& outputs() { return outputs_; }
  const Fact& output(size_t i) const { return outputs_[i]; }  ///< for `cost`, after inference

  /// See InferBody. Facts of nothing where this inference does not enter bodies.
  std::vector<Fact> infer_body(std::string_view attribute, const std::vector<Fact>& inputs) const;
  /// Whether sizes were bound to numbers, so that a branch that is not taken may be one that cannot run on them.
  bool sizes_bound() const { return sizes_bound_; }
  void set_infer_body(InferBody infer_body, bool sizes_bound) {
    infer_body_ = std::move(infer_body);
    sizes_bound_ = sizes_bound;
  }

  /// Throws Error(bad_data): "node 'conv1' (Conv): <message>".
  [[noreturn]] void fail(const std::string& message) const;
  /// fail() unless the node has between `least` and `most` inputs and all of the first `least` are present.
  void require_inputs(size_t least, size_t most) const;
  /// fail() unless the rank of input i is unknown or in [least, most].
  void require_rank(size_t i, int64_t least, int64_t most) const;
  /// Axis of an input of known rank, made non-negative; fail() out of range.
  int64_t axis(int64_t axis, int64_t rank) const;

 private:
  friend class FactTable;
  const Graph& graph_;
  const Node& node_;
  std::vector<const Fact*> inputs_;
  std::vector<Fact> outputs_;
  InferBody infer_body_;
  bool sizes_bound_ = false;
};

/// Multidirectional broadcasting of symbolic shapes; unknown where neither size decides. Throws through `context`.
SymbolicDims broadcast(const InferContext& context, const SymbolicDims& a, const SymbolicDims& b);

}  // namespace espalier
