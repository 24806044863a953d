#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  dispatch_number(x.type(), [&]<class T>() {
    c.set(0, map<T, T>(x, [](auto v) { return v < 0 ? decltype(v)(0) : v; }));  // keeps NaN
  });
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("ReluGrad", {c.output(), c.grad_output()})); }

}  // namespace

extern const Op relu;
const Op relu = {
    .name = "Relu",
    .infer = infer_unary_numeric,
    .evaluate = evaluate,
    .element = element_is<ElementKind::relu>,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
