#pragma once

#include <string>
#include <vector>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"

namespace espalier {

// What If, Loop, Scan, SequenceMap and the sequence operators share.

/// What holds of a value that is now one, now the other: sizes, ranks and constants in which they differ are unknown.
/// Throws through `context` where they are of different kinds or element types (an optional may be one with what it holds, as
/// in ONNX's Loop); `what` names the value.
Fact joined(const InferContext& context, const Fact& a, const Fact& b, const std::string& what);
Type joined(const InferContext& context, const Type& a, const Type& b, const std::string& what);

/// The fact without its value: what holds in every iteration.
Fact only_type(const Fact& fact);

/// fail() unless the body in `attribute` is there and has as many inputs and outputs as given.
const Graph& require_body(const InferContext& context, std::string_view attribute, size_t inputs, size_t outputs);
/// fail() unless input i is unknown or of this kind ("a sequence", "a tensor").
void require_kind(const InferContext& context, size_t i, Type::Kind kind);
/// fail() unless input i is unknown or a tensor of one element of this type.
void require_scalar(const InferContext& context, size_t i, DataType type, const std::string& what);

/// The one boolean of a condition. fail() for anything else; `what` names it.
bool truth(const EvaluateContext& context, const HostValue& value, const std::string& what);
/// The one integer of a tensor.
int64_t whole_number(const EvaluateContext& context, const HostValue& value, const std::string& what);

/// A scalar of a body's input: of rank 1 where the body declares it so, as files do.
Tensor scalar_for(const Graph& body, size_t input, Tensor scalar);

/// Elements [begin, begin + count) of an axis.
Tensor part(const Tensor& tensor, int64_t axis, int64_t begin, int64_t count);
/// The tensor at one position of an axis, which goes.
Tensor picked(const Tensor& tensor, int64_t axis, int64_t index);
/// Tensors joined along an axis. Throws Error(bad_data) where types or other sizes differ.
Tensor concatenated(const std::vector<Tensor>& tensors, int64_t axis);
/// Tensors of one shape along a new axis.
Tensor stacked(const std::vector<Tensor>& tensors, int64_t axis);
/// What a body that never ran would have stacked: no elements, unknown sizes taken as 0.
Tensor nothing_stacked(const Type& declared, int64_t axis);

}  // namespace espalier
