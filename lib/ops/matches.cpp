#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_same_type(c, 0, 1);
  if (c.has_rank(0) && c.has_rank(1)) c.set(0, c.elem_type(0), broadcast(c, c.dims(0), c.dims(1)));
  else c.set(0, Type::tensor(c.elem_type(0)));
}

void evaluate(EvaluateContext& c) {
  const Tensor &a = c.input(0), &b = c.input(1);
  dispatch_number(a.type(), [&]<class T>() {
    c.set(0, zip<T, T>(a, b, [](auto x, auto y) { return static_cast<decltype(x)>(x == y ? 1 : 0); }));
  });
}

}  // namespace

/// Matches(a, b): 1 where a = b, 0 elsewhere, in their own type. Shapes broadcast. The gradients of extrema are made of it.
extern const Op matches;
const Op matches = {
    .name = "Matches",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .element = element_is<ElementKind::equal>,
    .elementwise = true,
};

}  // namespace espalier::ops
