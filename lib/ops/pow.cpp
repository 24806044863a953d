#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// The result has the base's type; since version 12 the exponent may have another.
void infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_numeric, "a numeric type");
  if (c.version() < 12) require_same_type(c, 0, 1);
  c.set(0, broadcast_type(c, c.elem_type(0)));
}

int64_t integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base = wrap_mul(base, base)) {
    if (exponent & 1) result = wrap_mul(result, base);
  }
  return result;
}

void evaluate(EvaluateContext& c) {
  const Tensor &a = c.input(0), b = aligned_operand(c);
  const bool integers = is_integer(a.type()) && is_integer(b.type());
  if (integers) {
    const auto exponents = b.to_int64s();
    if (std::all_of(exponents.begin(), exponents.end(), [](int64_t e) { return e >= 0; })) {
      return c.set(0, zip<int64_t, int64_t>(a.cast(DataType::int64), b.cast(DataType::int64), integer_power).cast(a.type()));
    }
  }
  const auto power = [](double x, double e) { return std::pow(x, e); };
  c.set(0, zip<double, double>(a.cast(DataType::float64), b.cast(DataType::float64), power).cast(a.type()));
}

/// dx = p x^(p-1) dy.
ValueId base_gradient(GradientContext& c, ValueId x, ValueId exponent) {
  const Tensor* constant = c.constant(exponent);
  const DataType type = c.type(x).elem_type;
  ValueId p = exponent, less;
  if (constant && constant->size() == 1) {
    const double power = constant->to_doubles()[0];
    p = c.scalar(power, x);
    less = c.scalar(power - 1, x);
    if (power == 2) return c.add("Mul", {c.grad_output(), c.add("Mul", {x, p})});
  } else {
    if (c.type(exponent).elem_type != type) p = c.add("Cast", {exponent}, {{"to", static_cast<int64_t>(type), {}}});
    less = c.add("Sub", {p, c.scalar(1, x)});
  }
  return c.add("Mul", {c.grad_output(), c.add("Mul", {p, c.add("Pow", {x, less})})});
}

/// dp = y log(x) dy, and 0 where x is 0.
void gradient(GradientContext& c) {
  const ValueId x = c.input(0);
  if (c.wants(0)) c.set_grad(0, sum_to_input(c, base_gradient(c, x, c.input(1)), 0));
  if (!c.wants(1)) return;
  const ValueId safe = c.add("Where", {c.add("Equal", {x, c.scalar(0, x)}), c.scalar(1, x), x});
  const ValueId slope = c.add("Mul", {c.output(), c.add("Log", {safe})});
  ValueId grad = c.add("Mul", {c.grad_output(), slope});
  const DataType type = c.type(c.input(1)).elem_type;
  if (type != c.type(x).elem_type) grad = c.add("Cast", {grad}, {{"to", static_cast<int64_t>(type), {}}});
  c.set_grad(1, sum_to_input(c, grad, 1));
}

/// One operand where the exponent is one constant, in any type; else two.
std::optional<ElementOp> element(const InferContext& c) {
  const Tensor* exponent = c.constant(1);
  if (c.version() < 7) return std::nullopt;
  if (!exponent || exponent->size() != 1 || (c.has_rank(0) && exponent->rank() > c.rank(0))) return ElementOp{ElementKind::pow};
  const double value = exponent->to_doubles()[0];
  if (value == 1) return ElementOp{ElementKind::copy};
  if (value == 2) return ElementOp{ElementKind::square};
  if (value == 0.5) return ElementOp{ElementKind::sqrt};
  if (value == -1) return ElementOp{ElementKind::reciprocal};
  if (value == 3) return ElementOp{ElementKind::cube};
  return ElementOp{ElementKind::power, static_cast<float>(value), 0};
}

}  // namespace

extern const Op pow;
const Op pow = {
    .name = "Pow",
    .infer = infer,
    .evaluate = evaluate,
    .element = element,
    .gradient = gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
