#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/ops/bundle.h"
#include "lib/ops/unit_set.h"

namespace espalier {

/// What unit rules know of a value.
struct UnitFact {
  std::optional<Dims> dims;         ///< sizes with every symbol bound; absent where they depend on data
  std::optional<Tensor> constant;   ///< the value, where it follows from constants and sizes
  DataType type = DataType::undefined;
  bool bound = false;               ///< `constant` holds only for the sizes that symbols were bound to
  SymbolicDims symbolic;            ///< sizes with nothing bound; as long as dims
};

/// An operand along which units are summed away: zeros there, in the original, are what a cut leaves out.
struct Sink {
  NodeId node = kNone;
  size_t input = 0;
  bool weight = false;  ///< a constant, zeroed along `axis`; else an activation, zeroed by a product with 0 and 1
  int axis = 0;         ///< of the constant
  int64_t groups = 1;   ///< of a grouped Conv: the weight's axis holds one group, `units` all of them
  Bundle units;         ///< weight: one axis of ids; activation: on the operand's own axes
  std::optional<size_t> zero_point = {};  ///< of a quantized weight: the input that says which integer stands for 0
};

/// A weight axis that bears ids: output rows of a weight, or per-channel parameters. Columns are sinks.
struct WeightRows {
  NodeId node = kNone;
  size_t input = 0;
  int axis = 0;
  IndexArray ids;
  int64_t groups = 1;  ///< of a recurrent weight: the axis holds one direction, `ids` all of them
};

/// Rows of ids that must keep equally many.
struct RowConstraint {
  IndexArray ids;  ///< [rows, n]
  std::string words;
};

/// A graph input and output that hold one state, before and after: they shrink together.
struct StateUnits {
  ValueId input = kNone, output = kNone;
};

/// Ids of one birth: [first, first + count), by a node.
struct UnitBirth {
  NodeId node = kNone;
  int32_t first = 0;
  int32_t count = 0;
  ValueId state = kNone;  ///< where node is kNone: the declared state, a graph input
};

struct OpenedBodies;  // lib/analysis/opened_bodies.h

/// The ids of a whole graph.
struct UnitTable {
  const Graph* graph = nullptr;                ///< that nodes and values below belong to: as given, or with bodies opened
  const Graph* given = nullptr;                ///< as it was given, which can be run
  std::shared_ptr<const OpenedBodies> opened;  ///< where bodies of If, Loop and Scan were opened
  std::vector<UnitFact> facts;                ///< by value
  UnitSet units;
  std::vector<std::vector<Bundle>> bundles;   ///< by value
  std::vector<IndexArray> demands;            ///< [rows, n]: ids along an axis that was contracted, which must be ragged
  std::vector<Sink> sinks;
  std::vector<WeightRows> weight_rows;
  std::vector<RowConstraint> constraints;     ///< stated by ops
  std::vector<RowConstraint> rows;            ///< all of them, bundles with rows included, after finish()
  std::vector<UnitBirth> births;
  std::vector<StateUnits> states;             ///< declared by the user, and carried by Loops and Scans

  /// Drops axes along which ids are constant, turns bundles as contractions demand and collects `rows`. Again after
  /// every later join.
  void finish();
  /// Without the axes along which ids are constant. `labels`: by root, the row of a demand, or -1; empty: none.
  Bundle tidy(const Bundle& bundle, const Dims& sizes, const std::vector<int32_t>& labels = {}) const;
};

/// One node as unit rules and the surgeon read it, in the untouched graph.
class UnitNode {
 public:
  UnitNode(const UnitTable& table, NodeId id) : table_(table), id_(id) {}

  const Graph& graph() const { return *table_.graph; }
  const Node& node() const { return graph().node(id_); }
  NodeId id() const { return id_; }
  const std::string& op() const { return node().op_type; }
  ValueId input(size_t i) const { return node().has_input(i) ? node().inputs[i] : kNone; }
  ValueId output(size_t i = 0) const { return node().has_output(i) ? node().outputs[i] : kNone; }
  size_t input_count() const { return node().inputs.size(); }
  size_t output_count() const { return node().outputs.size(); }

  bool constant(ValueId v) const { return v != kNone && fact(v).constant.has_value(); }
  /// A value that is there and not constant.
  bool active(ValueId v) const { return v != kNone && !fact(v).constant; }
  const Tensor& tensor(ValueId v) const { return *fact(v).constant; }
  const Dims& dims(ValueId v) const { return *fact(v).dims; }
  int64_t dim(ValueId v, int axis) const { return dims(v)[static_cast<size_t>(axis)]; }
  int rank(ValueId v) const { return static_cast<int>(dims(v).size()); }
  const UnitFact& fact(ValueId v) const { return table_.facts[static_cast<size_t>(v)]; }
  const std::vector<Bundle>& bundles(ValueId v) const { return table_.bundles[static_cast<size_t>(v)]; }
  const UnitSet& units() const { return table_.units; }
  Bundle tidy(const Bundle& bundle, const Dims& sizes) const { return table_.tidy(bundle, sizes); }

  /// An attribute, or the elements of the input that replaced it in version `since`. Nothing where both are absent;
  /// `*unknown` where the input is no constant.
  std::optional<std::vector<int64_t>> integers(std::string_view attribute, size_t i, int since, bool* unknown) const;
  /// The ids that were born at this node, one birth, in the dims it had.
  IndexArray born_ids(Dims dims) const;
  /// Non-negative axis.
  int axis(int64_t axis, int64_t rank) const { return static_cast<int>(normalize_axis(axis, rank)); }

 protected:
  const UnitTable& table_;
  NodeId id_;
};

/// One node while ids are assigned, in order of execution: its rule applies the op's index semantics to the ids of the
/// inputs and sets those of the outputs. Ids are born only at weights; an axis without ids is fixed.
class UnitContext : public UnitNode {
 public:
  UnitContext(UnitTable& table, NodeId id) : UnitNode(table, id), mutable_(table) {}

  UnitSet& units() { return mutable_.units; }
  IndexArray born(const Dims& dims);
  /// Files the bundles of an output: size-1 axes are squeezed out, and of two that share a ragged axis the one with fewer
  /// free units is frozen.
  void set(ValueId v, std::vector<Bundle> bundles);
  void freeze(const IndexArray& ids, const std::string& reason) { mutable_.units.freeze(ids, reason); }
  void freeze_value(ValueId v, const std::string& reason);
  /// The op mixes the axis: ids along it are frozen; where it is a mere row, the rows are tied.
  void freeze_axis(ValueId v, int axis, const std::string& reason);
  /// Bundle `index` of v may no longer depend on `axis`: ids are joined along it.
  void collapse(ValueId v, size_t index, int axis);
  /// Joins along `axis` in all bundles that have it as a mere row.
  void collapse_rows(ValueId v, int axis);
  /// The op needs `axis` of bundle `index` ragged and the others as rows.
  void turn(ValueId v, size_t index, int axis);
  /// Ids along an axis that weights shared by all rows contract or scale: rows are tied. Nothing if the axis is fixed.
  /// Where a bundle's ragged axis is another one that `lives_on` names, its rows along `axis` are summed instead.
  std::optional<IndexArray> axis_ids(ValueId v, int axis, const std::vector<int>& lives_on = {});
  /// The same for the channel axis 1 of an op with batch and spatial axes, which freeze what stands there.
  std::optional<IndexArray> channel_ids(ValueId v);
  /// Operands broadcast against output `out` join position by position; size-1 axes never do, constants are not given.
  void join(ValueId out, const std::vector<ValueId>& operands, int skip_axis = -1);
  /// No rule: every active input is frozen.
  void opaque();

  void weight_sink(size_t input, int axis, const IndexArray& ids, int64_t groups = 1, std::optional<size_t> zero_point = {});
  void activation_sink(size_t input, const Bundle& bundle);
  void weight_rows(size_t input, int axis, const IndexArray& ids, int64_t groups = 1) {
    mutable_.weight_rows.push_back({id_, input, axis, ids, groups});
  }
  void constrain(IndexArray rows, std::string words);

 private:
  std::vector<Bundle>& list(ValueId v) { return mutable_.bundles[static_cast<size_t>(v)]; }
  UnitTable& mutable_;
};

}  // namespace espalier
