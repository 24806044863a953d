#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

/// [start, end) of Shape-15 for a rank; attributes out of range are clamped, as ONNX has it.
std::pair<int64_t, int64_t> range_of(const Node& node, int64_t rank) {
  const auto clamped = [rank](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamped(node.get<int64_t>("start", 0));
  return {start, std::max(start, clamped(node.get<int64_t>("end", rank)))};
}

void infer_shape(InferContext& c) {
  c.require_inputs(1, 1);
  if (!c.has_rank(0)) {
    c.set(0, DataType::int64, {Dim()});
    return;
  }
  const auto [start, end] = range_of(c.node(), c.rank(0));
  c.set(0, DataType::int64, {end - start});
  c.set_numbers(0, {c.dims(0).begin() + start, c.dims(0).begin() + end});
}

void evaluate_shape(EvaluateContext& c) {
  const Dims& dims = c.input(0).dims();
  const auto [start, end] = range_of(c.node(), c.input(0).rank());
  c.set(0, Tensor::of<int64_t>({end - start}, {dims.begin() + start, dims.begin() + end}));
}

void infer_size(InferContext& c) {
  c.require_inputs(1, 1);
  c.set(0, DataType::int64, {});
  if (c.has_rank(0)) c.set_numbers(0, {product(c.dims(0))});
}

void evaluate_size(EvaluateContext& c) { c.set(0, Tensor::scalar<int64_t>(c.input(0).size())); }

}  // namespace

extern const Op shape;
const Op shape = {.name = "Shape", .until = 25, .infer = infer_shape, .evaluate = evaluate_shape, .shape_only_inputs = 1};

extern const Op size;
const Op size = {.name = "Size", .until = 25, .infer = infer_size, .evaluate = evaluate_size, .shape_only_inputs = 1};

}  // namespace espalier::ops
