// Operators that bring a gradient to the shape of a forward value: the batch size never stands in a training graph.
#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/spread.h"

namespace espalier::ops {
namespace {

/// Element type of input 0, shape of input 1.
void infer_shape_of_second(InferContext& c) {
  c.require_inputs(2, 2);
  Type type = c.type(1);
  type.elem_type = c.elem_type(0);
  c.set(0, std::move(type));
}

/// For reductions' gradients: shape of input 0, element type of input 1.
void infer_shape_of_first(InferContext& c) {
  c.require_inputs(2, 2);
  Type type = c.type(0);
  type.elem_type = c.elem_type(1);
  c.set(0, std::move(type));
}

/// Strides that walk a tensor of `dims` along the axes of `over`; 0 on axes that are broadcast.
Dims broadcast_strides(const Dims& dims, const Dims& over) {
  const Dims own = row_major_strides(dims);
  Dims result(over.size(), 0);
  const size_t shift = over.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i) result[shift + i] = dims[i] == 1 ? 0 : own[i];
  return result;
}

/// Visits all positions of `over` with the index into a tensor that is walked by `strides`.
template <class Visit>
void for_each_position(const Dims& over, const Dims& strides, Visit&& visit) {
  const int64_t count = element_count(over);
  Dims at(over.size(), 0);
  int64_t index = 0;
  for (int64_t i = 0; i < count; ++i) {
    visit(i, index);
    for (size_t axis = over.size(); axis-- > 0;) {
      index += strides[axis];
      if (++at[axis] < over[axis]) break;
      index -= strides[axis] * over[axis];
      at[axis] = 0;
    }
  }
}

void check_broadcast(const EvaluateContext& c, const Dims& from, const Dims& to) {
  bool fits = from.size() <= to.size();
  for (size_t i = 0; fits && i < from.size(); ++i) {
    const int64_t a = from[from.size() - 1 - i], b = to[to.size() - 1 - i];
    fits = a == b || a == 1;
  }
  if (!fits) c.fail("shape " + to_string(from) + " does not broadcast to " + to_string(to));
}

Tensor expand(const Tensor& small, const Dims& dims, double factor) {
  const Tensor wide = small.cast(DataType::float64);
  Tensor result(DataType::float64, dims);
  const auto from = wide.data<double>();
  const auto to = result.mutable_data<double>();
  for_each_position(dims, broadcast_strides(small.dims(), dims), [&](int64_t i, int64_t j) { to[i] = factor * from[j]; });
  return result.cast(small.type());
}

void sum_to(EvaluateContext& c) {
  const Dims& dims = c.input(1).dims();
  check_broadcast(c, dims, c.input(0).dims());
  const Tensor wide = c.input(0).cast(DataType::float64);
  Tensor result(DataType::float64, dims);
  const auto from = wide.data<double>();
  const auto to = result.mutable_data<double>();
  for_each_position(wide.dims(), broadcast_strides(dims, wide.dims()), [&](int64_t i, int64_t j) { to[j] += from[i]; });
  c.set(0, result.cast(c.input(0).type()));
}

void reshape_like(EvaluateContext& c) {
  if (c.input(0).size() != c.input(1).size()) {
    c.fail("cannot reshape " + to_string(c.input(0).dims()) + " to " + to_string(c.input(1).dims()));
  }
  c.set(0, c.input(0).reshaped(c.input(1).dims()));
}

void expand_like(EvaluateContext& c) {
  check_broadcast(c, c.input(0).dims(), c.input(1).dims());
  c.set(0, expand(c.input(0), c.input(1).dims(), 1));
}

/// The shape that a reduction of `dims` leaves, reduced axes kept as 1.
Dims kept_dims(const Node& node, const Dims& dims) {
  const auto axes = node.get<std::vector<int64_t>>("axes", {});
  Dims kept = dims;
  if (axes.empty() && node.get<int64_t>("noop_with_empty_axes", 0) == 0) kept.assign(dims.size(), 1);
  for (const int64_t axis : axes) kept[normalize_axis(axis, static_cast<int64_t>(dims.size()))] = 1;
  return kept;
}

/// dy of a reduction, spread over the axes that it took away.
void reduce_grad(EvaluateContext& c, bool mean) {
  const Dims& dims = c.input(0).dims();
  const Dims kept = kept_dims(c.node(), dims);
  const int64_t left = element_count(kept);
  if (c.input(1).size() != left) c.fail("gradient has " + to_string(c.input(1).dims()) + ", expected " + to_string(kept));
  const double divisor = mean && left ? static_cast<double>(element_count(dims) / left) : 1.0;
  c.set(0, expand(c.input(1).reshaped(kept), dims, 1 / divisor));
}

void reduce_sum_grad(EvaluateContext& c) { reduce_grad(c, false); }
void reduce_mean_grad(EvaluateContext& c) { reduce_grad(c, true); }

bool lower_sum_to(LowerContext& c) {
  const Dims dims = c.dims(0), like = c.dims(1);
  if (like.size() > dims.size()) return false;
  const size_t lead = dims.size() - like.size();
  std::vector<bool> reduced(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) reduced[i] = i < lead || (like[i - lead] == 1 && dims[i] != 1);
  return lower_sum(c, 0, reduced, 1);
}

bool lower_expand_like(LowerContext& c) {
  Dims dims = c.dims(0);
  if (dims.size() > c.dims(1).size()) return false;
  dims.insert(dims.begin(), c.dims(1).size() - dims.size(), 1);
  return lower_spread(c, 1, 0, dims, 1);
}

template <bool kMean>
bool lower_reduce_grad(LowerContext& c) {
  const Dims full = c.dims(0), kept = kept_dims(c.node(), full);
  const auto terms = static_cast<float>(element_count(full) / std::max<int64_t>(1, element_count(kept)));
  return lower_spread(c, 0, 1, kept, kMean ? 1 / terms : 1);
}

constexpr Op like_op(std::string_view name, void (*evaluate)(EvaluateContext&), bool (*lower)(LowerContext&)) {
  return {.name = name,
          .domain = kInternalDomain,
          .infer = infer_shape_of_second,
          .evaluate = evaluate,
          .lower = lower,
          .shape_only_inputs = 0b10};
}

constexpr Op reduce_op(std::string_view name, void (*evaluate)(EvaluateContext&), bool (*lower)(LowerContext&)) {
  return {.name = name,
          .domain = kInternalDomain,
          .infer = infer_shape_of_first,
          .evaluate = evaluate,
          .lower = lower,
          .shape_only_inputs = 0b1};
}

}  // namespace

extern const Op sum_to_op, reshape_like_op, expand_like_op, reduce_sum_grad_op, reduce_mean_grad_op;

/// SumTo(dy, like): sums dy over the axes along which `like` is broadcast to it.
const Op sum_to_op = like_op("SumTo", sum_to, lower_sum_to);
/// ReshapeLike(x, like): the elements of x in the shape of `like`.
const Op reshape_like_op = {
    .name = "ReshapeLike",
    .domain = kInternalDomain,
    .infer = infer_shape_of_second,
    .evaluate = reshape_like,
    .shape_only_inputs = 0b10,
    .is_view = true,
};
/// ExpandLike(x, like): x broadcast to the shape of `like`.
const Op expand_like_op = like_op("ExpandLike", expand_like, lower_expand_like);
/// ReduceSumGrad(x_like, dy) {axes, keepdims, noop_with_empty_axes}: dy spread over the reduced axes.
const Op reduce_sum_grad_op = reduce_op("ReduceSumGrad", reduce_sum_grad, lower_reduce_grad<false>);
/// ReduceMeanGrad(x_like, dy) {axes, keepdims, noop_with_empty_axes}: the same, divided by the count.
const Op reduce_mean_grad_op = reduce_op("ReduceMeanGrad", reduce_mean_grad, lower_reduce_grad<true>);

}  // namespace espalier::ops
