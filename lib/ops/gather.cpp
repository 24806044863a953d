#include <algorithm>

#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

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
  require_index_type(c, 1);
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
  for (int64_t& index : at[axis]) index = wrapped_index(c, index, data.dims()[axis]);
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
  require_index_type(c, 1);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(1)) return;
  c.require_rank(0, c.rank(1), c.rank(1));
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(1));
  for (int64_t a = 0; c.has_rank(0) && a < c.rank(1); ++a) {
    const Dim &data = c.dims(0)[a], &indices = c.dims(1)[a];
    if (a != axis && data.known() && indices.known() && indices.value() > data.value()) {
      c.fail("indices are larger than the data in axis " + std::to_string(a) + ": " + indices.str() + " and " + data.str());
    }
  }
  c.set(0, c.elem_type(0), c.dims(1));
}

void evaluate_elements(EvaluateContext& c) {
  const Tensor &data = c.input(0), &indices = c.input(1);
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), data.rank());
  c.set(0, gathered(data, element_positions(c, data.dims(), indices, axis), indices.dims()));
}

int64_t axis_of(const LowerContext& c) {
  return normalize_axis(c.node().get<int64_t>("axis", 0), static_cast<int64_t>(c.dims(0).size()));
}

/// Constant positions are a move with a table, which knows runs of neighbours.
bool lower_constant(LowerContext& c, int64_t axis) {
  const Dims data = c.dims(0), strides = row_major_strides(data);
  std::vector<int64_t> index = c.constant(1)->to_int64s();
  std::vector<MoveAxis> axes;
  for (int64_t& i : index) {
    if (i < -data[axis] || i >= data[axis]) return false;
    i = (i < 0 ? i + data[axis] : i) * strides[axis];
  }
  // The axes of the indices are one axis here; the result lies the same.
  for (int64_t a = 0; a < static_cast<int64_t>(data.size()); ++a) {
    if (a == axis) axes.push_back({static_cast<int64_t>(index.size()), 0, index});
    else axes.push_back({data[a], strides[a], {}});
  }
  return lower_move(c, 0, std::move(axes));
}

bool lower_gather_axis(LowerContext& c) {
  const int64_t axis = axis_of(c);
  if (c.constant(1) && !c.is_weight(0) && is_movable(c, 0)) return lower_constant(c, axis);
  return lower_gather(c, Indexing::Kind::axis, axis);
}

bool lower_elements(LowerContext& c) { return lower_gather(c, Indexing::Kind::elements, axis_of(c)); }

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("GatherGrad", {c.input(0), c.input(1), c.grad_output()}, {{"axis", c.node().get<int64_t>("axis", 0), {}}}));
}

/// What is gathered several times is summed.
void gradient_elements(GradientContext& c) {
  const ValueId zeros = c.add("ExpandLike", {c.scalar(0, c.input(0)), c.input(0)});
  c.set_grad(0, c.add("ScatterElements", {zeros, c.input(1), c.grad_output()},
                      {{"axis", c.node().get<int64_t>("axis", 0), {}}, {"reduction", std::string("add"), {}}}));
}

}  // namespace

extern const Op gather;
const Op gather = {
    .name = "Gather",
    .infer = infer_gather,
    .evaluate = evaluate_gather,
    .lower = lower_gather_axis,
    .gradient = gradient,
    .units = units::gather,
    .cut = cuts::gather,
    .cost = cost,
    .parameters = parameters,
};

extern const Op gather_elements;
const Op gather_elements = {
    .name = "GatherElements",
    .since = 11,
    .infer = infer_elements,
    .evaluate = evaluate_elements,
    .lower = lower_elements,
    .gradient = gradient_elements,
    .units = units::gather_elements,
    .cut = cuts::gather_elements,
    .cost = cost,
};

}  // namespace espalier::ops
