#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/ops/infer.h"

namespace espalier {

/// One forward node while its gradient is being built, in reverse order of execution. `gradient` reads grad_output(),
/// adds nodes and hands over the gradient of each input that is wanted. Several contributions to a value are summed by
/// the caller. Shapes may be symbolic: a rule never bakes a batch size in, it uses the `like` operands of internal ops
/// (ReshapeLike, SumTo, ExpandLike, ConvGradInput ...).
class GradientContext {
 public:
  virtual ~GradientContext() = default;

  virtual const Graph& graph() const = 0;
  virtual const Node& node() const = 0;
  ValueId input(size_t i) const { return node().has_input(i) ? node().inputs[i] : kNone; }
  ValueId output(size_t i = 0) const { return node().has_output(i) ? node().outputs[i] : kNone; }
  /// Gradient that has arrived at output i; kNone where none flows.
  virtual ValueId grad_output(size_t i = 0) const = 0;
  /// Whether the gradient of input i leads to a wanted value.
  virtual bool wants(size_t i) const = 0;
  /// Type of a forward value as inference knows it.
  virtual const Type& type(ValueId id) const = 0;
  /// Constant behind a forward value, or nullptr.
  virtual const Tensor* constant(ValueId id) const = 0;
  virtual void set_grad(size_t input, ValueId grad) = 0;

  /// Adds a node with one output and returns it. `op_type` of the default domain is read in kTrainingOpset; names of
  /// internal ops (in the registry under kInternalDomain) are found there first. `forward_of` is set to node().
  virtual ValueId add(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {}) = 0;
  /// The same with several outputs; outputs not wanted are still made.
  virtual std::vector<ValueId> add_many(std::string op_type, std::vector<ValueId> inputs, size_t outputs,
                                        std::vector<Attribute> attributes = {}) = 0;
  /// A scalar constant of the element type of `like`.
  virtual ValueId scalar(double value, ValueId like) = 0;
  /// Throws Error(bad_data) naming node and op: what cannot be differentiated, and why.
  [[noreturn]] void fail(const std::string& message) const;
};

/// `grad`, which has the output's shape, summed over the axes along which input i was broadcast to it.
ValueId sum_to_input(GradientContext& context, ValueId grad, size_t i);

/// An int64 list as a constant [n]: what axes and shapes are in kTrainingOpset.
ValueId integers(GradientContext& context, const std::vector<int64_t>& values);

/// Opset in which the default-domain nodes of training graphs are read.
inline constexpr int kTrainingOpset = 17;

}  // namespace espalier
