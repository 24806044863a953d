#pragma once

#include <optional>
#include <vector>

#include "lib/kernels/indexing.h"
#include "lib/kernels/move.h"
#include "lib/ops/lower.h"

namespace espalier::ops {

// Fast steps of operators that move elements of any type of whole bytes, on plain layouts.

/// Bytes of an element, where a step can move such elements: not strings, not 4-bit types.
std::optional<size_t> movable_width(DataType type);

/// Whether input `i` and all outputs hold elements of whole bytes, and no size is 0.
bool is_movable(const LowerContext& c, size_t i);

/// Output 0 is input `input` moved: one axis of `axes` for each of the output. `fill`: one element of the input's type, zero
/// if null. False, with nothing added, where is_movable() is false.
bool lower_move(LowerContext& c, size_t input, std::vector<MoveAxis> axes, int64_t offset = 0, const Tensor* fill = nullptr);

/// Output 0 is input 0, seen as `split` axes, transposed: axis i of the result is axis perm[i]. Floats may lie blocked where
/// `split` are the input's own dims.
bool lower_permute(LowerContext& c, const Dims& split, const Dims& perm);

/// Output 0 is input `input` broadcast to the output's shape.
bool lower_broadcast(LowerContext& c, size_t input);

/// The inputs as they lie in plain memory.
Operand read_plain(LowerContext& c, size_t input);
/// Plain memory for an output.
Operand write_plain(LowerContext& c, size_t output = 0);

/// The indices of input `indices` into data of shape `data`; fills in type and node.
Indexing indexing_of(const LowerContext& c, Indexing::Kind kind, Dims data, size_t indices, int64_t axis, int64_t batch_dims = 0);

/// Gather forms: output 0 is the runs of input 0 that input 1 names. False where is_movable() is false.
bool lower_gather(LowerContext& c, Indexing::Kind kind, int64_t axis, int64_t batch_dims = 0);
/// Scatter forms (data, indices, updates): updates replace, of any type, or are combined with the data, float only.
bool lower_scatter(LowerContext& c, Indexing::Kind kind, int64_t axis, Combine combine);
/// Gradients of gather forms: output 0 is zeros of input 0's shape plus dy = input 2 at the places input 1 names; float only.
bool lower_gather_grad(LowerContext& c, Indexing::Kind kind, int64_t axis, int64_t batch_dims = 0);

}  // namespace espalier::ops
