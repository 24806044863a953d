#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/error.h"
#include "lib/ops/units.h"

namespace espalier {

/// What is left cannot be said in ONNX: the units are frozen with this reason and the choice is made again.
class Inexpressible : public Error {
 public:
  Inexpressible(IndexArray ids, std::string reason)
      : Error(ErrorKind::usage, reason), ids_(std::move(ids)), reason_(std::move(reason)) {}
  const IndexArray& ids() const { return ids_; }
  const std::string& reason() const { return reason_; }

 private:
  IndexArray ids_;
  std::string reason_;
};

/// A graph while units are cut out of it. Node and value ids are those of the original; new ones are added.
struct CutState {
  Graph graph;                               ///< changed in place
  const UnitTable* table = nullptr;
  const std::vector<bool>* keep = nullptr;   ///< by root
  std::vector<std::vector<Bundle>> kept;     ///< by value: coordinates left, of every axis that lost or moved something
  std::vector<std::string> gathers;          ///< why each Gather was added
  std::unordered_multimap<size_t, ValueId> by_content;  ///< new constants by hash
  std::unordered_map<ValueId, ValueId> cut_from;        ///< new constant -> the one it was cut from
  std::unordered_map<ValueId, ValueId> pinned;          ///< computed from sizes -> a constant of its original value
  std::unordered_map<NodeId, NodeId> made_for;          ///< new node -> the one it was made for
  std::vector<int32_t> rank;                            ///< by root: the order at birth; empty: the original one
  std::vector<std::vector<int32_t>> wishes;             ///< by Gather: roots in the order in which it would not be needed
};

/// One node while units are cut: the op's index semantics on the coordinates that are left. The node is changed where
/// something was removed, and left byte for byte where nothing was.
class CutContext : public UnitNode {
 public:
  CutContext(CutState& state, NodeId id, NodeId next) : UnitNode(*state.table, id), state_(state), next_(next) {}

  // What is left.
  const std::vector<Bundle>& kept(ValueId v) const { return state_.kept[static_cast<size_t>(v)]; }
  /// Coordinates left in their original order, of every bundle that loses something.
  std::vector<Bundle> canonical(ValueId v) const { return canonical(bundles(v)); }
  std::vector<Bundle> canonical(const std::vector<Bundle>& bundles) const;
  /// The same where units are born: there the order is free, and that of `rank`. Blocks of `block` stay together.
  std::vector<Bundle> at_birth(ValueId v, int64_t block = 0) const;
  /// Sizes that are left.
  Dims size(ValueId v) const { return size(v, kept(v)); }
  Dims size(ValueId v, const std::vector<Bundle>& kept) const;
  /// Files what is left of an output. Throws Error(internal) unless it is what the ids keep: the rules of analysis and
  /// surgeon must agree.
  void record(ValueId v, std::vector<Bundle> kept);
  /// Coordinates along an axis that weights shared by all rows read; all of them where nothing is gone.
  std::vector<int64_t> order(ValueId v, int axis) const;
  /// What is left along an axis: its bundle, or all coordinates.
  Bundle along(ValueId v, int axis) const;
  IndexArray ids_at(ValueId v, int axis) const;
  [[noreturn]] void inexpressible(ValueId v, int axis, const std::string& reason) const {
    throw Inexpressible(ids_at(v, axis), reason);
  }
  /// An opaque op or the outside reads v: nothing may be missing or moved.
  void require_whole(ValueId v) const;
  void opaque();

  // Writing.
  /// The node's input as it is now.
  ValueId current(size_t i) const { return state_.graph.node(id_).inputs[i]; }
  void set_input(size_t i, ValueId v);
  void set_inputs(std::vector<ValueId> inputs) { state_.graph.set_inputs(id_, std::move(inputs)); }
  void set_attribute(const std::string& name, Attribute::Value value) { state_.graph.set_attribute(id_, name, std::move(value)); }
  void erase_attribute(std::string_view name) { state_.graph.erase_attribute(id_, name); }
  int opset() const { return state_.graph.opset(); }
  /// A constant cut from `from`; `from` itself if it is the same, and one value for equal cuts of one constant. Equal
  /// cuts of different ones stay apart: they are trained apart.
  ValueId cut_constant(ValueId from, Tensor tensor);
  ValueId numbers(const std::vector<int64_t>& values, const std::string& hint);
  ValueId constant_like(Tensor tensor, const std::string& hint) { return constant_of(std::move(tensor), hint, kNone); }
  /// Adds a node of one output before this one.
  ValueId before(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes, const std::string& hint);
  /// This node's output `i` becomes an inner value; a new node after it makes the output.
  ValueId interpose(size_t i, const std::string& hint);
  void after(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes, ValueId output);
  /// This node, with its name and outputs, becomes another op.
  void become(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes);
  /// The node goes; its outputs are made otherwise.
  void erase_node() { state_.graph.erase_node(id_); }
  /// `v` with the positions `index` of an axis: one Gather before this node.
  ValueId gather(ValueId v, int axis, const std::vector<int64_t>& index, const std::string& why);
  std::vector<Attribute> gather_attributes(int axis, const std::string& why);
  /// Says that positions `index` of an axis of v, in this order, would spare a Gather.
  void wish(ValueId v, int axis, const std::vector<int64_t>& index);
  /// `v`, which holds `have` of the original value `original`, brought into the order `want`: a Gather at most.
  ValueId reorder(ValueId original, ValueId v, const Bundle& have, const Bundle& want, const std::string& why);
  /// Joined operands in the order of the first one that lost something, and that order on the output's axes. Inputs are
  /// changed in place; constants are left for follow().
  std::vector<Bundle> join(ValueId out, const std::vector<size_t>& inputs, int skip_axis = -1);
  /// A constant operand taken along every axis that is left of the output; `lead`: rank of the output minus its own.
  Tensor follow(const Tensor& tensor, const std::vector<Bundle>& kept, int lead) const;

 private:
  ValueId constant_of(Tensor tensor, const std::string& hint, ValueId from);

  CutState& state_;
  NodeId next_;  ///< the node after this one in the original order
};

/// 0 .. n-1.
std::vector<int64_t> whole_order(int64_t n);
std::vector<int64_t> to_order(const IndexArray& ids);

}  // namespace espalier
