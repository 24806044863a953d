#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Axis in [0, rank], both ends included.
int64_t axis_of(const InferContext& c) {
  const int64_t axis = c.node().get<int64_t>("axis", 1);
  return axis == c.rank(0) ? axis : c.axis(axis, c.rank(0));
}

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  if (!c.has_rank(0)) {
    c.set(0, c.elem_type(0), {Dim(), Dim()});
    return;
  }
  const auto& dims = c.dims(0);
  const auto at = dims.begin() + axis_of(c);
  c.set(0, c.elem_type(0), {product({dims.begin(), at}), product({at, dims.end()})});
}

void evaluate(EvaluateContext& c) {
  const Dims& dims = c.input(0).dims();
  const int64_t axis = c.node().get<int64_t>("axis", 1);
  const auto at = dims.begin() + (axis < 0 ? axis + c.input(0).rank() : axis);
  c.set(0, c.input(0).reshaped({element_count({dims.begin(), at}), element_count({at, dims.end()})}));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("ReshapeLike", {c.grad_output(), c.input(0)})); }

}  // namespace

extern const Op flatten;
const Op flatten = {
    .name = "Flatten",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::reshape,
    .cut = cuts::reshape,
    .is_view = true,
};

}  // namespace espalier::ops
