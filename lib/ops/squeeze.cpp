#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr int kAxesInputSince = 13;

std::vector<bool> marked(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<bool> result(rank, false);
  for (const int64_t axis : axes) {
    const int64_t at = normalize_axis(axis, rank);
    if (result[at]) throw Error(ErrorKind::bad_data, "axis " + std::to_string(axis) + " is named twice");
    result[at] = true;
  }
  return result;
}

/// The sizes without the marked axes; `D` is Dim or int64_t.
template <class D>
std::vector<D> squeezed(const std::vector<D>& dims, const std::vector<int64_t>& axes) {
  const auto drop = marked(axes, static_cast<int64_t>(dims.size()));
  std::vector<D> result;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!drop[i]) result.push_back(dims[i]);
  }
  return result;
}

/// The sizes with 1 at the marked axes of the result.
template <class D>
std::vector<D> unsqueezed(const std::vector<D>& dims, const std::vector<int64_t>& axes) {
  const auto fresh = marked(axes, static_cast<int64_t>(dims.size() + axes.size()));
  std::vector<D> result;
  for (size_t i = 0, from = 0; i < fresh.size(); ++i) result.push_back(fresh[i] ? D(1) : dims[from++]);
  return result;
}

std::vector<int64_t> axes_of_size_one(const Dims& dims) {
  std::vector<int64_t> axes;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) axes.push_back(static_cast<int64_t>(i));
  }
  return axes;
}

void pass_numbers(InferContext& c) {
  const Type& type = c.outputs()[0].type;
  if (type.has_rank() && type.rank() <= 1) c.outputs()[0].numbers = c.numbers(0);
}

void infer_squeeze(InferContext& c) {
  c.require_inputs(1, 2);
  c.set(0, Type::tensor(c.elem_type(0)));
  bool unknown = false;
  auto axes = c.integers_from("axes", 1, kAxesInputSince, &unknown);
  if (!c.has_rank(0) || unknown) return;
  if (!axes) {
    const auto known = to_known(c.dims(0));
    if (!known) return;  // a symbol might be 1
    axes = axes_of_size_one(*known);
  }
  for (const int64_t axis : *axes) {
    const Dim& dim = c.dims(0)[c.axis(axis, c.rank(0))];
    if (dim.known() && !dim.is(1)) c.fail("axis " + std::to_string(axis) + " of " + to_string(c.dims(0)) + " is not 1");
  }
  c.set(0, c.elem_type(0), squeezed(c.dims(0), *axes));
  pass_numbers(c);
}

void evaluate_squeeze(EvaluateContext& c) {
  const auto axes = c.integers_from("axes", 1, kAxesInputSince);
  const Dims& dims = c.input(0).dims();
  c.set(0, c.input(0).reshaped(squeezed(dims, axes ? *axes : axes_of_size_one(dims))));
}

void infer_unsqueeze(InferContext& c) {
  if (c.version() < kAxesInputSince) c.require_inputs(1, 1);
  else c.require_inputs(2, 2);
  c.set(0, Type::tensor(c.elem_type(0)));
  bool unknown = false;
  const auto axes = c.integers_from("axes", 1, kAxesInputSince, &unknown);
  if (!axes && !unknown) c.fail("attribute 'axes' is missing");
  if (!c.has_rank(0)) return;
  if (unknown) {
    if (c.has_rank(1) && c.rank(1) == 1 && c.dims(1)[0].known()) {
      c.set(0, c.elem_type(0), unknown_dims(c, checked_add(c.rank(0), c.dims(1)[0].value())));
    }
    return;
  }
  c.set(0, c.elem_type(0), unsqueezed(c.dims(0), *axes));
  pass_numbers(c);
}

void evaluate_unsqueeze(EvaluateContext& c) {
  const auto axes = *c.integers_from("axes", 1, kAxesInputSince);
  c.set(0, c.input(0).reshaped(unsqueezed(c.input(0).dims(), axes)));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("ReshapeLike", {c.grad_output(), c.input(0)})); }

}  // namespace

extern const Op squeeze;
const Op squeeze = {
    .name = "Squeeze",
    .until = 25,
    .infer = infer_squeeze,
    .evaluate = evaluate_squeeze,
    .gradient = gradient,
    .units = units::reshape,
    .cut = cuts::reshape,
    .is_view = true,
};

extern const Op unsqueeze;
const Op unsqueeze = {
    .name = "Unsqueeze",
    .until = 25,
    .infer = infer_unsqueeze,
    .evaluate = evaluate_unsqueeze,
    .gradient = gradient,
    .units = units::reshape,
    .cut = cuts::reshape,
    .is_view = true,
};

}  // namespace espalier::ops
