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

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("GeluGrad", {c.input(0), c.grad_output()}, {{"approximate", c.node().get<std::string>("approximate", "none"), {}}}));
}

std::optional<ElementOp> element(const InferContext& c) {
  return ElementOp{c.node().get<std::string>("approximate", "none") == "tanh" ? ElementKind::gelu_tanh : ElementKind::gelu};
}

}  // namespace

extern const Op gelu;
const Op gelu = {
    .name = "Gelu",
    .since = 20,
    .infer = infer,
    .evaluate = evaluate,
    .element = element,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
