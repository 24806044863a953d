// CenterCropPad: axes cut or zero-padded around their middle to the sizes that are asked for.

#include <algorithm>

#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

/// Which axis each number of `shape` is for; nothing where not even their number is known.
std::optional<std::vector<int64_t>> axes_of(const Node& node, int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t a = 0; a < rank; ++a) axes.push_back(a);
  axes = node.get("axes", std::move(axes));
  for (int64_t& a : axes) a = normalize_axis(a, rank);
  return axes;
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_index_type(c, 1);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  const auto given = c.node().get<std::vector<int64_t>>("axes", {});
  for (const int64_t a : given) c.axis(a, c.rank(0));
  const auto axes = *axes_of(c.node(), c.rank(0));
  auto sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) c.fail("axes are " + to_string(given) + ", one of them twice");
  const auto shape = c.numbers(1);
  if (shape && shape->size() != axes.size()) {
    c.fail("shape has " + std::to_string(shape->size()) + " elements, expected " + std::to_string(axes.size()));
  }
  SymbolicDims dims = c.dims(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& size = dims[axes[i]];
    size = shape ? (*shape)[i] : Dim();
    if (size.known() && size.value() < 0) c.fail("shape is " + to_string(*shape));
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Where position i of `to` positions lies among `from` ones: the middle on the middle, the odd one behind.
int64_t source(int64_t i, int64_t from, int64_t to) {
  const int64_t at = to <= from ? i + (from - to) / 2 : i - (to - from) / 2;
  return at < 0 || at >= from ? -1 : at;
}

AxisIndices sources(const Dims& from, const Dims& to) {
  AxisIndices at(to.size());
  for (size_t a = 0; a < to.size(); ++a) {
    for (int64_t i = 0; i < to[a]; ++i) at[a].push_back(source(i, from[a], to[a]));
  }
  return at;
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto axes = *axes_of(c.node(), x.rank());
  const auto shape = c.input(1).to_int64s();
  if (shape.size() != axes.size()) c.fail("shape has " + std::to_string(shape.size()) + " elements, expected " + std::to_string(axes.size()));
  Dims dims = x.dims();
  for (size_t i = 0; i < axes.size(); ++i) {
    if (shape[i] < 0) c.fail("shape is " + to_string(shape));
    dims[axes[i]] = shape[i];
  }
  c.set(0, take(x, sources(x.dims(), dims)));
}

bool lower(LowerContext& c) {
  const Dims from = c.dims(0), to = c.output_dims(0), strides = row_major_strides(from);
  if (!is_movable(c, 0)) return false;
  std::vector<MoveAxis> axes;
  auto at = sources(from, to);
  for (size_t a = 0; a < to.size(); ++a) {
    if (from[a] == to[a]) {
      axes.push_back({to[a], strides[a], {}});
      continue;
    }
    for (int64_t& i : at[a]) i = i < 0 ? -1 : i * strides[a];
    axes.push_back({to[a], 0, std::move(at[a])});
  }
  return lower_move(c, 0, std::move(axes));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("CenterCropPadGrad", {c.input(0), c.grad_output()})); }

void infer_grad(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

/// The other way round: what was cut off is zero, what was padded goes.
void evaluate_grad(EvaluateContext& c) {
  const Dims &from = c.input(0).dims(), &to = c.input(1).dims();
  AxisIndices at(from.size());
  const AxisIndices forward = sources(from, to);
  for (size_t a = 0; a < from.size(); ++a) {
    at[a].assign(static_cast<size_t>(from[a]), -1);
    for (size_t i = 0; i < forward[a].size(); ++i) {
      if (forward[a][i] >= 0) at[a][forward[a][i]] = static_cast<int64_t>(i);
    }
  }
  c.set(0, take(c.input(1), at));
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op center_crop_pad, center_crop_pad_grad_op;
const Op center_crop_pad = {
    .name = "CenterCropPad",
    .since = 18,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::center_crop_pad,
    .cut = cuts::center_crop_pad,
    .cost = cost,
};

/// CenterCropPadGrad(x_like, dy) -> dx.
const Op center_crop_pad_grad_op = {
    .name = "CenterCropPadGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
