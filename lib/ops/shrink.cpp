// Shrink: x + bias below -lambd, x - bias above lambd, 0 between.

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

float lambd(const Node& node) { return node.get<float>("lambd", 0.5f); }
float bias(const Node& node) { return node.get<float>("bias", 0.0f); }

/// Integers are compared and moved in double, then truncated.
void evaluate(EvaluateContext& c) {
  const double edge = lambd(c.node()), by = bias(c.node());
  dispatch_number(c.input(0).type(), [&]<class T>() {
    c.set(0, map<T, T>(c.input(0), [=](auto v) {
      const auto x = static_cast<double>(v);
      return convert<T>(x < -edge ? x + by : x > edge ? x - by : 0.0);
    }));
  });
}

bool lower(LowerContext& c) {
  return lower_map<float, float>(c, [edge = lambd(c.node()), by = bias(c.node())](float x) {
    return x < -edge ? x + by : x > edge ? x - by : 0.0f;
  });
}

/// 1 outside [-lambd, lambd].
void gradient(GradientContext& c) {
  const auto type = static_cast<int64_t>(c.type(c.input(0)).elem_type);
  const ValueId outside = c.add("Greater", {c.add("Abs", {c.input(0)}), c.scalar(lambd(c.node()), c.input(0))});
  c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Cast", {outside}, {{"to", type, {}}})}));
}

}  // namespace

extern const Op shrink;
const Op shrink = {
    .name = "Shrink",
    .since = 9,
    .infer = infer_unary_numeric,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
