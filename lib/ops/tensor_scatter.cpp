#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

/// past_cache: [N, ..., most, ...]; update: the same but `length` along the axis; write_indices: int64 [N].
void infer(InferContext& c) {
  c.require_inputs(2, 3);
  const auto mode = c.node().get<std::string>("mode", "linear");
  if (mode != "linear" && mode != "circular") c.fail("mode is '" + mode + "', expected linear or circular");
  if (c.type(0).is_tensor() && c.type(1).is_tensor() && c.elem_type(0) != c.elem_type(1)) c.fail("cache and update differ in element type");
  if (c.has_rank(0) && c.has_rank(1)) {
    if (c.rank(0) != c.rank(1)) c.fail("cache has rank " + std::to_string(c.rank(0)) + ", but the update has " + std::to_string(c.rank(1)));
    const int64_t axis = c.axis(c.node().get<int64_t>("axis", -2), c.rank(0));
    if (axis == 0) c.fail("axis is 0, the batch");
    for (int64_t i = 0; i < c.rank(0); ++i) {
      const Dim &cache = c.dims(0)[i], &update = c.dims(1)[i];
      if (!cache.known() || !update.known()) continue;
      const bool fits = i == axis ? update.value() <= cache.value() : update.value() == cache.value();
      if (!fits) c.fail("update " + to_string(c.dims(1)) + " does not fit the cache " + to_string(c.dims(0)));
    }
  }
  c.set(0, c.type(0));
}

void evaluate(EvaluateContext& c) {
  const Tensor &cache = c.input(0), &update = c.input(1);
  const Dims& dims = cache.dims();
  const auto axis = static_cast<size_t>(normalize_axis(c.node().get<int64_t>("axis", -2), cache.rank()));
  const bool circular = c.node().get<std::string>("mode", "linear") == "circular";
  const std::vector<int64_t> starts = c.has_input(2) ? c.input(2).to_int64s() : std::vector<int64_t>(static_cast<size_t>(dims[0]), 0);
  if (static_cast<int64_t>(starts.size()) != dims[0]) c.fail("has " + std::to_string(starts.size()) + " write indices, expected " + std::to_string(dims[0]));
  if (bit_width(cache.type()) % 8 != 0 || bit_width(cache.type()) == 0) c.fail("elements of type " + std::string(name(cache.type())) + " are not supported");
  int64_t rows = 1, inner = 1;  // rows of one sample
  for (size_t i = 1; i < axis; ++i) rows *= dims[i];
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  const int64_t most = dims[axis], length = update.dims()[axis], bytes = inner * bit_width(cache.type()) / 8;
  Tensor result = cache;
  const auto to = result.mutable_bytes();
  const auto from = update.bytes();
  for (int64_t row = 0; row < dims[0] * rows; ++row) {
    for (int64_t k = 0; k < length; ++k) {
      int64_t at = starts[static_cast<size_t>(row / rows)] + k;
      if (circular) at = (at % most + most) % most;
      if (at < 0 || at >= most) c.fail("write index " + std::to_string(at) + " is not in [0, " + std::to_string(most) + ")");
      std::copy_n(from.begin() + (row * length + k) * bytes, bytes, to.begin() + (row * most + at) * bytes);
    }
  }
  c.set(0, std::move(result));
}

}  // namespace

extern const Op tensor_scatter;
const Op tensor_scatter = {.name = "TensorScatter", .since = 24, .until = 24, .infer = infer, .evaluate = evaluate};

}  // namespace espalier::ops
