#include <cmath>
#include <numbers>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  const auto approximate = c.node().get<std::string>("approximate", "none");
  if (approximate != "none" && approximate != "tanh") c.fail("approximate is '" + approximate + "', expected none or tanh");
  infer_unary_float(c);
}

/// x * Phi(x), Phi by the error function or by tanh(sqrt(2/pi) * (x + 0.044715 x^3)).
void evaluate(EvaluateContext& c) {
  const bool tanh = c.node().get<std::string>("approximate", "none") == "tanh";
  map_float(c, [tanh](auto value) {
    const auto v = static_cast<double>(value);
    const double phi = tanh ? std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v)) : std::erf(v / std::numbers::sqrt2);
    return 0.5 * v * (1 + phi);
  });
}

/// Phi(x) + x * Phi'(x).
void gradient(GradientContext& c) {
  const ValueId x = c.input(0);
  const auto number = [&](double v) { return c.scalar(v, x); };
  const auto times = [&](ValueId a, ValueId b) { return c.add("Mul", {a, b}); };
  const ValueId square = times(x, x);
  ValueId phi, slope;  // of 2 Phi - 1, and Phi'
  if (c.node().get<std::string>("approximate", "none") == "tanh") {
    const double scale = std::sqrt(2 / std::numbers::pi);
    const ValueId u = times(times(x, number(scale)), c.add("Add", {number(1), times(square, number(0.044715))}));
    phi = c.add("Tanh", {u});
    const ValueId du = c.add("Add", {number(scale), times(square, number(3 * 0.044715 * scale))});
    slope = times(times(du, number(0.5)), c.add("Sub", {number(1), times(phi, phi)}));
  } else {
    phi = c.add("Erf", {times(x, number(1 / std::numbers::sqrt2))});
    slope = times(c.add("Exp", {times(square, number(-0.5))}), number(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2));
  }
  const ValueId half = c.add("Add", {times(phi, number(0.5)), number(0.5)});
  c.set_grad(0, times(c.grad_output(), c.add("Add", {half, times(x, slope)})));
}

}  // namespace

extern const Op gelu;
const Op gelu = {
    .name = "Gelu",
    .since = 20,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
