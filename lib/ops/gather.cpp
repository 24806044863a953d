#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void check_indices_type(const InferContext& c) {
  const DataType type = c.elem_type(1);
  if (c.type(1).is_tensor() && type != DataType::undefined && type != DataType::int32 && type != DataType::int64) {
    c.fail("indices are " + c.type(1).str() + ", expected int32 or int64");
  }
}

int64_t checked_index(const EvaluateContext& c, int64_t index, int64_t size) {
  if (index < -size || index >= size) {
    c.fail("index " + std::to_string(index) + " is out of range for an axis of size " + std::to_string(size));
  }
  return index < 0 ? index + size : index;
}

void infer_numbers(InferContext& c) {
  const auto data = c.rank(0) == 1 ? c.numbers(0) : std::nullopt;
  const auto at = c.constant(1) && c.constant(1)->rank() <= 1 ? c.integers(1) : std::nullopt;
  if (!data || !at) return;
  const auto size = static_cast<int64_t>(data->size());
  std::vector<Dim> result;
  for (const int64_t i : *at) {
    if (i < -size || i >= size) c.fail("index " + std::to_string(i) + " is out of range for an axis of size " + std::to_string(size));
    result.push_back((*data)[i < 0 ? i + size : i]);
  }
  c.set_numbers(0, std::move(result));
}

void infer_gather(InferContext& c) {
  c.require_inputs(2, 2);
  check_indices_type(c);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0) || !c.has_rank(1)) return;
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(0));
  SymbolicDims dims(c.dims(0).begin(), c.dims(0).begin() + axis);
  dims.insert(dims.end(), c.dims(1).begin(), c.dims(1).end());
  dims.insert(dims.end(), c.dims(0).begin() + axis + 1, c.dims(0).end());
  infer_numbers(c);
  c.set(0, c.elem_type(0), std::move(dims));
}

void evaluate_gather(EvaluateContext& c) {
  const Tensor& data = c.input(0);
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), data.rank());
  AxisIndices at = all_indices(data.dims());
  at[axis] = c.input(1).to_int64s();
  for (int64_t& index : at[axis]) index = checked_index(c, index, data.dims()[axis]);
  Dims dims(data.dims().begin(), data.dims().begin() + axis);
  dims.insert(dims.end(), c.input(1).dims().begin(), c.input(1).dims().end());
  dims.insert(dims.end(), data.dims().begin() + axis + 1, data.dims().end());
  c.set(0, take(data, at).reshaped(std::move(dims)));
}

Cost cost(const InferContext& c) {
  const int64_t out = byte_count(c.output(0).type.elem_type, *c.output(0).type.known_dims());
  const int64_t indices = byte_count(c.elem_type(1), *c.type(1).known_dims());
  return {.bytes = checked_add(checked_mul(2, out), indices)};
}

std::vector<int> parameters(const Node&) { return {0}; }

void infer_elements(InferContext& c) {
  c.require_inputs(2, 2);
  check_indices_type(c);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(1)) return;
  c.axis(c.node().get<int64_t>("axis", 0), c.rank(1));
  c.require_rank(0, c.rank(1), c.rank(1));
  c.set(0, c.elem_type(0), c.dims(1));
}

void evaluate_elements(EvaluateContext& c) {
  const Tensor& data = c.input(0);
  const auto indices = c.input(1).to_int64s();
  const Dims& dims = c.input(1).dims();
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), data.rank());
  const Dims strides = row_major_strides(data.dims());
  Tensor out(data.type(), dims);
  Dims at(dims.size(), 0);
  for (int64_t to = 0; to < out.size(); ++to) {
    int64_t from = 0;
    for (size_t a = 0; a < at.size(); ++a) {
      const bool chosen = static_cast<int64_t>(a) == axis;
      from += strides[a] * checked_index(c, chosen ? indices[to] : at[a], data.dims()[a]);
    }
    copy_elements(data, from, out, to, 1);
    for (size_t a = at.size(); a-- > 0;) {
      if (++at[a] < dims[a]) break;
      at[a] = 0;
    }
  }
  c.set(0, std::move(out));
}

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("GatherGrad", {c.input(0), c.input(1), c.grad_output()}, {{"axis", c.node().get<int64_t>("axis", 0), {}}}));
}

}  // namespace

extern const Op gather;
const Op gather = {
    .name = "Gather",
    .infer = infer_gather,
    .evaluate = evaluate_gather,
    .gradient = gradient,
    .units = units::gather,
    .cut = cuts::gather,
    .cost = cost,
    .parameters = parameters,
};

extern const Op gather_elements;
const Op gather_elements = {
    .name = "GatherElements", .since = 11, .infer = infer_elements, .evaluate = evaluate_elements, .cost = cost};

}  // namespace espalier::ops
