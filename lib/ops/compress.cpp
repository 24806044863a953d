// Compress: the slices along an axis, or the elements of the flattened tensor, whose condition is true.

#include <numeric>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

std::vector<int64_t> picked(const Tensor& condition) {
  std::vector<int64_t> result;
  const auto values = condition.data<bool>();
  for (int64_t i = 0; i < condition.size(); ++i) {
    if (values[i]) result.push_back(i);
  }
  return result;
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 1, is_boolean, "bool");
  c.require_rank(1, 1, 1);
  const Tensor* condition = c.constant(1);
  const Dim left = condition ? Dim(static_cast<int64_t>(picked(*condition).size())) : Dim();
  if (!c.node().has("axis")) {
    if (condition && c.has_rank(0)) {
      const Dim all = product(c.dims(0));
      if (all.known() && condition->size() > all.value()) {
        c.fail("condition has " + std::to_string(condition->size()) + " elements, expected at most " + all.str());
      }
    }
    return c.set(0, c.elem_type(0), {left});
  }
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  SymbolicDims dims = c.dims(0);
  Dim& size = dims[c.axis(c.node().require<int64_t>("axis"), c.rank(0))];
  const bool counted = c.has_rank(1) && c.dims(1)[0].known() && size.known();
  if (counted && c.dims(1)[0].value() > size.value()) {
    c.fail("condition has " + c.dims(1)[0].str() + " elements, expected at most " + size.str());
  }
  size = left;
  c.set(0, c.elem_type(0), std::move(dims));
}

/// The tensor that is picked from and the axis along which.
std::pair<Dims, int64_t> view_of(const Node& node, const Dims& dims) {
  if (!node.has("axis")) return {Dims{element_count(dims)}, 0};
  return {dims, normalize_axis(node.require<int64_t>("axis"), static_cast<int64_t>(dims.size()))};
}

std::vector<int64_t> checked_picks(const EvaluateContext& c, const Tensor& condition, int64_t size) {
  auto result = picked(condition);
  if (!result.empty() && result.back() >= size) c.fail("condition picks " + std::to_string(result.back()) + " of " + std::to_string(size));
  return result;
}

void evaluate(EvaluateContext& c) {
  const auto [dims, axis] = view_of(c.node(), c.input(0).dims());
  AxisIndices at = all_indices(dims);
  at[axis] = checked_picks(c, c.input(1), dims[axis]);
  c.set(0, take(c.input(0).reshaped(dims), at));
}

/// Under a constant condition only: else the size of the result is not known.
bool lower(LowerContext& c) {
  if (!c.constant(1)) return false;
  const auto [dims, axis] = view_of(c.node(), c.dims(0));
  const Dims strides = row_major_strides(dims);
  std::vector<MoveAxis> axes;
  for (size_t a = 0; a < dims.size(); ++a) axes.push_back({dims[a], strides[a], {}});
  auto index = picked(*c.constant(1));
  if (!index.empty() && index.back() >= dims[axis]) return false;
  for (int64_t& i : index) i *= strides[axis];
  axes[axis] = {static_cast<int64_t>(index.size()), 0, std::move(index)};
  return lower_move(c, 0, std::move(axes));
}

void gradient(GradientContext& c) {
  std::vector<Attribute> attributes;
  if (c.node().has("axis")) attributes.push_back({"axis", c.node().require<int64_t>("axis"), {}});
  c.set_grad(0, c.add("CompressGrad", {c.input(0), c.input(1), c.grad_output()}, std::move(attributes)));
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  const auto [dims, axis] = view_of(c.node(), c.input(0).dims());
  const auto index = checked_picks(c, c.input(1), dims[axis]);
  std::vector<int64_t> from(static_cast<size_t>(dims[axis]), -1);
  for (size_t i = 0; i < index.size(); ++i) from[index[i]] = static_cast<int64_t>(i);
  Dims picked_dims = dims;
  picked_dims[axis] = static_cast<int64_t>(index.size());
  AxisIndices at = all_indices(dims);
  at[axis] = from;
  c.set(0, take(c.input(2).reshaped(picked_dims), at).reshaped(c.input(0).dims()));
}

Cost cost(const InferContext& c) {
  return {.bytes = checked_add(checked_mul(2, known_bytes(c.output(0).type)), known_bytes(c.type(1)))};
}

}  // namespace

extern const Op compress, compress_grad_op;
const Op compress = {
    .name = "Compress",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::compress,
    .cut = cuts::compress,
    .cost = cost,
};

/// CompressGrad(x_like, condition, dy) {axis} -> dx: zero where nothing was picked.
const Op compress_grad_op = {
    .name = "CompressGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
