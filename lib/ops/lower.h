#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/kernels/element.h"
#include "lib/kernels/kernel.h"
#include "lib/ops/infer.h"

namespace espalier {

/// A piece of memory of a plan that is being compiled.
struct Operand {
  int buffer = -1;
};

/// What the runtime asks a node to do beside its own work, chosen from what its op absorbs (Op::absorbs).
struct Fusion {
  bool residual = false;               ///< add LowerContext::residual() to the result, before the activations
  std::vector<ElementOp> activations;  ///< apply these to the result, in order
  /// Backward: the incoming gradient is first masked by relu_grad or clip_grad of LowerContext::mask().
  std::optional<ElementOp> grad_mask;
  bool bias = false;                   ///< add LowerContext::bias() to the result, before the activations
  /// Not to be absorbed, but to be known: only QuantizeLinear reads the result, where the last bit of a sum decides between
  /// two steps. Sums are then made in the order of the formula, x W and then B.
  bool quantized = false;
  /// Input i stands for its Transpose by perms[i], where that is not empty: layout() and read() give what is transposed,
  /// dims() the result.
  std::vector<std::vector<int64_t>> perms;
  std::vector<int64_t> result_perm;    ///< what is written is the Transpose by it, where not empty; output_dims() stay

  bool empty() const {
    return !residual && activations.empty() && !grad_mask && !bias && perms.empty() && result_perm.empty();
  }
};

/// One node while a plan is compiled: where its inputs lie is known, `lower` picks layouts, asks for memory and appends
/// steps. All sizes are known. Where fusion is not empty, output 0 is the value after the fused operations.
/// `lower` returns false, before it has asked for memory or added a step, where it has no fast step for this node: the
/// node is then run by its reference, unfused.
class LowerContext {
 public:
  virtual ~LowerContext() = default;

  virtual const Node& node() const = 0;
  virtual const InferContext& facts() const = 0;
  virtual const Fusion& fusion() const = 0;
  /// Whether backward nodes in this plan point at this node (Node::forward_of).
  virtual bool training() const = 0;

  DataType type(size_t input) const { return facts().elem_type(input); }
  Dims dims(size_t input) const;
  Dims output_dims(size_t output) const;
  bool has_input(size_t input) const { return node().has_input(input); }
  bool has_output(size_t output) const { return node().has_output(output); }
  const Tensor* constant(size_t input) const { return facts().constant(input); }
  /// A parameter or constant: it can be had in any layout for nothing.
  virtual bool is_weight(size_t input) const = 0;

  /// Where input i lies at present. Its dims are the value's, or another split of them.
  virtual Layout layout(size_t input) const = 0;
  /// The input as it lies.
  virtual Operand read(size_t input) = 0;
  /// The input in another layout: a weight's copy, or a reorder that is counted.
  virtual Operand read(size_t input, const Layout& as) = 0;
  virtual Operand residual(const Layout& as) = 0;
  virtual Operand mask(const Layout& as) = 0;
  /// Plain, as many floats as the result's last axis.
  virtual Operand bias() = 0;
  /// Memory for an output.
  virtual Operand write(size_t output, const Layout& as) = 0;
  /// Memory for an output that is that of an input (as read) where nobody reads the input later, fresh otherwise.
  virtual Operand write_over(size_t output, Operand input, const Layout& as) = 0;
  /// The output is the input's memory, seen under its own dims; `as` lies over the same bytes.
  virtual void alias(size_t output, size_t input, const Layout& as) = 0;
  /// The residual's memory itself as that of output 0, for primitives that add into their result; copied where it is
  /// still needed elsewhere.
  virtual Operand write_over_residual(const Layout& as) = 0;
  /// Memory for the next step only.
  virtual Operand scratch(size_t bytes) = 0;

  /// Memory that the backward nodes of this node will read; they get it from kept().
  virtual Operand keep(size_t bytes) = 0;
  virtual void keep_hint(ForwardHint hint) = 0;
  /// Of the forward node of a backward node: what it kept. Empty where it was not lowered fast: return false then.
  virtual std::optional<Operand> kept() const = 0;
  virtual ForwardHint hint() const = 0;

  /// Appends a step. A primitive's scratchpad is added to the arguments.
  virtual void step(Primitive primitive, std::vector<Operand> args) = 0;
  virtual void step(std::unique_ptr<Kernel> kernel, std::vector<Operand> args, std::string implementation) = 0;
};

}  // namespace espalier
