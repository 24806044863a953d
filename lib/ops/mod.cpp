#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/integer_division.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// fmod=1: the sign of the dividend, as C; fmod=0: that of the divisor, integers only.
void infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_numeric, "a numeric type");
  require_same_type(c, 0, 1);
  if (is_float(c.elem_type(0)) && c.node().get<int64_t>("fmod", 0) == 0) c.fail("fmod is 0, expected 1 for float operands");
  c.set(0, broadcast_type(c, c.elem_type(0)));
  const auto combine = [](const Dim& a, const Dim& b) {
    return a.known() && b.known() && a.value() >= 0 && b.value() > 0 ? Dim(a.value() % b.value()) : Dim();
  };
  if (const auto numbers = combine_numbers(c, 0, 1, combine)) c.set_numbers(0, *numbers);
}

template <class V>
V modulo(V a, V b, bool sign_of_dividend) {
  if (std::is_signed_v<V> && b == static_cast<V>(-1)) return 0;
  const auto rest = static_cast<V>(a % b);
  const bool flips = rest != V(0) && (rest > V(0)) != (b > V(0));
  return flips && !sign_of_dividend ? static_cast<V>(rest + b) : rest;
}

void evaluate(EvaluateContext& c) {
  const bool fmod = c.node().get<int64_t>("fmod", 0) != 0;
  dispatch_number(c.input(0).type(), [&]<class T>() {
    c.set(0, zip<T, T>(c.input(0), c.input(1), [&](auto a, auto b) {
            if constexpr (std::is_integral_v<T>) {
              if (b == 0) c.fail("integer division by zero");
              return modulo(a, b, fmod);
            } else {
              return std::fmod(a, b);
            }
          }));
  });
}

/// d(a - b trunc(a / b)): 1 for a, -trunc(a / b) for b.
void gradient(GradientContext& c) {
  const ValueId dy = c.grad_output();
  if (c.wants(0)) c.set_grad(0, sum_to_input(c, dy, 0));
  if (!c.wants(1)) return;
  const ValueId whole = c.add("Div", {c.add("Sub", {c.output(), c.input(0)}), c.input(1)});
  c.set_grad(1, sum_to_input(c, c.add("Mul", {dy, c.add("Round", {whole})}), 1));
}

/// Of integers.
bool lower(LowerContext& c) {
  const bool fmod = c.node().get<int64_t>("fmod", 0) != 0;
  return lower_division(c, [fmod](auto a, auto b) { return modulo(a, b, fmod); });
}

/// Of floats, whose fmod is always 1.
std::optional<ElementOp> element(const InferContext& c) {
  if (!is_float(c.elem_type(0))) return std::nullopt;
  return ElementOp{ElementKind::fmod};
}

}  // namespace

extern const Op mod;
const Op mod = {
    .name = "Mod",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .element = element,
    .gradient = gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
