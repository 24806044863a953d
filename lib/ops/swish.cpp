#include <cmath>

#include "lib/ops/conv_problem.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// x * sigmoid(alpha x).
void evaluate(EvaluateContext& c) {
  map_float(c, [alpha = c.node().get<float>("alpha", 1.0f)](auto v) {
    const auto u = static_cast<decltype(v)>(alpha) * v;
    const auto e = std::exp(-std::abs(u));
    return v * (u >= 0 ? 1 / (1 + e) : e / (1 + e));
  });
}

/// With s = sigmoid(alpha x): s + alpha x s (1 - s).
void gradient(GradientContext& c) {
  const ValueId x = c.input(0), alpha = c.scalar(static_cast<double>(c.node().get<float>("alpha", 1.0f)), x);
  const ValueId u = c.add("Mul", {x, alpha});
  const ValueId s = c.add("Sigmoid", {u});
  const ValueId rest = c.add("Mul", {c.add("Mul", {u, s}), c.add("Sub", {c.scalar(1, x), s})});
  c.set_grad(0, c.add("Mul", {c.grad_output(), c.add("Add", {s, rest})}));
}

bool lower(LowerContext& c) {
  if (c.type(0) != DataType::float32 || element_count(c.dims(0)) == 0) return false;
  const Layout layout = own_layout(c, 0);
  const Operand x = c.read(0, layout);
  std::vector<ElementStep> steps = {{{ElementKind::scale_shift, c.node().get<float>("alpha", 1.0f), 0}, 0, 0, 1},
                                    {{ElementKind::sigmoid}, 1, 1, 2}, {{ElementKind::mul}, 0, 2, 3}};
  c.step(element_chain(layout, {{ElementOperand::Kind::full, 0, {}}}, std::move(steps)), {x, c.write_over(0, x, layout)}, "chain");
  return true;
}

}  // namespace

extern const Op swish;
const Op swish = {
    .name = "Swish",
    .since = 24,
    .until = 24,
    .infer = infer_unary_float,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
