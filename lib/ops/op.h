#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/kernels/element.h"

namespace espalier {

class InferContext;     // infer.h
class EvaluateContext;  // evaluate.h
class LowerContext;     // lower.h
class GradientContext;  // gradient.h
class UnitContext;      // units.h
class CutContext;       // cut.h

/// What running a node once costs.
struct Cost {
  int64_t macs = 0;   ///< multiply-accumulates of Conv, MatMul, Gemm, RNN and attention; 1 MAC = 2 FLOPs
  int64_t flops = 0;  ///< all floating-point operations, 2 per MAC included
  int64_t bytes = 0;  ///< bytes of inputs read and outputs written
};

/// What the fast step of an op can do beside its own work (Fusion in lower.h).
inline constexpr uint32_t kAbsorbsActivations = 1;  ///< any activations for which can_fuse() holds
inline constexpr uint32_t kAbsorbsBounds = 2;       ///< one Relu or Clip
inline constexpr uint32_t kAbsorbsResidual = 4;     ///< the addition of a tensor of the result's shape
inline constexpr uint32_t kAbsorbsGradMask = 8;     ///< backward: the mask of a Relu or Clip on input `masked_input`
inline constexpr uint32_t kAbsorbsTransposes = 16;  ///< Transposes of inputs 0 and 1 and of the result that keep a matrix axis dense
inline constexpr uint32_t kAbsorbsBias = 32;        ///< the addition of a weight along the result's last axis

/// An operator: its facets. Only `infer` and `evaluate` are required; a null facet means "not supported", which callers
/// turn into a message naming node and op. One object a file, in the registry's sorted list; no state.
struct Op {
  std::string_view name;
  std::string_view domain = "";
  /// Opsets from which on, and whose forms at most, `infer` and `evaluate` read: newer opsets too where the form is old.
  int since = 1;
  int until = 23;

  /// Types and shapes out from types and shapes in, and all validation of the node.
  void (*infer)(InferContext&) = nullptr;
  /// The plain reference on host tensors, in every type ONNX allows and double for every float op.
  void (*evaluate)(EvaluateContext&) = nullptr;
  /// The fast step. Without it, or where it returns false, a plan runs `evaluate` on plain layouts.
  bool (*lower)(LowerContext&) = nullptr;
  /// The operation on single elements that the node is, if it is one: plans then fuse it (element.h).
  std::optional<ElementOp> (*element)(const InferContext&) = nullptr;
  /// What `lower` can take in: a sum of the flags below.
  uint32_t absorbs = 0;
  int masked_input = 0;  ///< for kAbsorbsGradMask: the input that is the incoming gradient
  /// Nodes that compute the gradients of the wanted inputs.
  void (*gradient)(GradientContext&) = nullptr;
  /// Index semantics on unit ids, and the same for the surgeon.
  void (*units)(UnitContext&) = nullptr;
  void (*cut)(CutContext&) = nullptr;
  /// MACs, FLOPs and bytes of one run, known sizes assumed.
  Cost (*cost)(const InferContext&) = nullptr;
  /// Indices of the inputs that are trainable weights where they are constants.
  std::vector<int> (*parameters)(const Node&) = nullptr;
  /// Bit i: input i only lends its shape; its elements are never read (`like` operands).
  uint32_t shape_only_inputs = 0;
  /// Output i is the same elements as input 0 for every run (Identity, Reshape, Flatten ...): aliasing is legal.
  bool is_view = false;
  /// Same inputs, same outputs; false for random ops.
  bool deterministic = true;
  /// The output's sign and value come from one element of each input at the same (broadcast) position.
  bool elementwise = false;
};

/// The operator that a node uses, or nullptr where it is opaque: unknown name, foreign domain, an opset before `since`, or
/// one whose form of the operator (schema_versions.h) is newer than `until`.
const Op* find_op(const Node& node);
const Op* find_op(std::string_view domain, std::string_view name);

/// All operators, sorted by domain and name.
std::span<const Op* const> all_ops();

}  // namespace espalier
