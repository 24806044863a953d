#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"

namespace espalier::ops {

// What the gathering and scattering operators share: where in the flat data each index points.

/// What a scattered update does to the element that is there.
enum class Reduction : uint8_t { none, add, mul, max, min };

/// Attribute `reduction` (none where absent). Throws Error(bad_data) for a name that version `version` of the op lacks:
/// add and mul came with 16, max and min with 18.
Reduction reduction_of(const Node& node);

/// fail() unless input `i` is int32 or int64, or its type is not known.
void require_index_type(const InferContext& c, size_t i, bool also_int32 = true);

/// An index in [-size, size) made non-negative; fail() out of range.
int64_t wrapped_index(const EvaluateContext& c, int64_t index, int64_t size);

/// Of GatherElements and ScatterElements: for every element of the indices the flat position in data of `data` dims that it
/// names along `axis`, its own position along the others. fail() for an index out of range.
std::vector<int64_t> element_positions(const EvaluateContext& c, const Dims& data, const Tensor& indices, int64_t axis);

/// Of GatherND and ScatterND: `positions` are the flat starts of runs of `run` elements of the data, one for each index tuple.
struct Runs {
  std::vector<int64_t> positions;
  int64_t run = 1;
};
Runs tuple_runs(const EvaluateContext& c, const Dims& data, const Tensor& indices, int64_t batch_dims);

/// One position for each element of the runs.
std::vector<int64_t> positions_of(const Runs& runs);

/// `data` with element i of `updates` brought to positions[i], one after the other. Types: any for none; numbers and, for
/// max and min, bool otherwise (add of bool is or, mul is and).
Tensor scattered(const Tensor& data, const std::vector<int64_t>& positions, const Tensor& updates, Reduction reduction);

/// out[i] = data[positions[i]], with dims `dims`.
Tensor gathered(const Tensor& data, const std::vector<int64_t>& positions, Dims dims);

}  // namespace espalier::ops
