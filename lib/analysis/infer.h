#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier {

/// What is known of every value of a graph.
class FactTable {
 public:
  FactTable() = default;
  explicit FactTable(size_t values) : facts_(values) {}

  size_t size() const { return facts_.size(); }
  /// An empty fact for a value that was added after inference.
  const Fact& operator[](ValueId id) const;
  Fact& at(ValueId id);
  const Type& type(ValueId id) const { return (*this)[id].type; }
  /// The constant behind the value, or nullptr.
  const Tensor* constant(ValueId id) const;
  /// The node as its op's `infer` saw it, its outputs' facts set: what `cost` takes. Valid while graph and table are.
  InferContext context(const Graph& graph, NodeId id) const;
  /// What is known inside the body in attribute `attribute` of a node, whatever iteration it is in; nullptr where bodies
  /// were not entered.
  const FactTable* body(NodeId id, std::string_view attribute) const;
  void set_body(NodeId id, std::string_view attribute, FactTable table);

 private:
  std::vector<Fact> facts_;
  std::map<std::pair<NodeId, std::string>, std::shared_ptr<const FactTable>> bodies_;
};

struct InferOptions {
  /// Sizes of graph inputs by name, instead of the declared ones. Where a declared size is one symbol, the symbol is
  /// bound everywhere. Throws Error(bad_data) for another rank, an unknown name or a symbol bound twice differently.
  std::map<std::string, Dims> input_dims = {};
  /// Symbols bound by name: {"batch", 32}.
  std::map<std::string, int64_t> symbols = {};
  /// Initialised graph inputs (IR < 4) that will be fed, so that their initialiser is no constant.
  std::set<std::string> fed = {};
  /// For a body: facts of the enclosing graph's values, by name.
  std::map<std::string, Fact> captured = {};
  /// Known values are calculated while one result has at most this many bytes ...
  int64_t fold_bytes_per_tensor = int64_t{1} << 24;
  /// ... and all of them together at most this many, ...
  int64_t fold_bytes = int64_t{1} << 28;
  /// ... and all of them cost at most this many multiply-accumulates. 0: nothing is calculated, constants remain.
  int64_t fold_macs = int64_t{1} << 30;
  /// For a body: facts of its inputs, in order, instead of the declared types. Empty: as declared.
  std::vector<Fact> body_inputs = {};
  /// Nodes visited in bodies at most, in all; what lies beyond is as the file declares.
  int64_t body_nodes = int64_t{1} << 20;
};

/// Types, shapes and known values of the whole graph, node by node, from the declared types of its inputs. A missing
/// size of an input becomes a symbol `name.axis`. Deterministic nodes on constants are evaluated within the budget.
/// Outputs of opaque ops are what the file declares, else unknown; sizes that the file declares are not believed where
/// input_dims or symbols are given, since they may have been written for others.
/// Throws Error(bad_data) naming node and op for what is not valid, and for a graph output whose declared element type or
/// rank contradicts inference. Declared sizes that do so are ignored: real files lie there.
FactTable infer(const Graph& graph, const InferOptions& options = {});

/// Runs one node on host tensors by its op's `evaluate`, after its `infer` has checked them. inputs: one a node input,
/// nullptr where omitted; returns one tensor a node output, undefined where omitted.
/// Throws Error(bad_data) naming node and op where the op is opaque or the inputs are not valid, and Error(internal) where
/// the result is not what `infer` promised.
std::vector<Tensor> evaluate_node(const Graph& graph, NodeId id, const std::vector<const Tensor*>& inputs);

/// The same for values of any kind. `run_body` runs the node's bodies (If, Loop, Scan, SequenceMap).
std::vector<HostValue> evaluate_values(const Graph& graph, NodeId id, const std::vector<const HostValue*>& inputs,
                                       const RunBody& run_body);

}  // namespace espalier
