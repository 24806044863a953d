// Add, Sub, Mul, Div: two operands that broadcast, and shape arithmetic on symbolic sizes.

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/integer_division.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

Dim divide(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return b.value() == 0 || b.value() == -1 ? Dim() : Dim(a.value() / b.value());
  if (const auto exact = exact_div(a, b)) return *exact;
  return b.known() && b.value() > 0 ? floor_div(a, b.value()) : Dim();
}

template <class F>
void infer(InferContext& c, F combine) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_numeric, "a numeric type");
  require_same_type(c, 0, 1);
  c.set(0, broadcast_type(c, c.elem_type(0) == DataType::undefined ? c.elem_type(1) : c.elem_type(0)));
  if (const auto numbers = combine_numbers(c, 0, 1, combine)) c.set_numbers(0, *numbers);
}

void add_infer(InferContext& c) { infer(c, [](const Dim& a, const Dim& b) { return a + b; }); }
void sub_infer(InferContext& c) { infer(c, [](const Dim& a, const Dim& b) { return a - b; }); }
void mul_infer(InferContext& c) { infer(c, [](const Dim& a, const Dim& b) { return a * b; }); }
void div_infer(InferContext& c) { infer(c, divide); }

template <class F>
void evaluate(EvaluateContext& c, F f) {
  const Tensor &a = c.input(0), b = aligned_operand(c);
  dispatch_number(a.type(), [&]<class T>() { c.set(0, zip<T, T>(a, b, f)); });
}

struct WrapAdd {
  auto operator()(auto a, auto b) const { return wrap_add(a, b); }
};
struct WrapSub {
  auto operator()(auto a, auto b) const { return wrap_sub(a, b); }
};
struct WrapMul {
  auto operator()(auto a, auto b) const { return wrap_mul(a, b); }
};

template <class F>
void evaluate_by(EvaluateContext& c) {
  evaluate(c, F());
}

/// Of integers: counters, sizes and indices.
template <class F>
bool lower(LowerContext& c) {
  return lower_zip_integers(c, F());
}

/// Towards zero; of a divisor that is not 0.
struct Quotient {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return wrap_sub(T(0), a);
    }
    return static_cast<T>(a / b);
  }
};

void div_evaluate(EvaluateContext& c) {
  evaluate(c, [&c](auto a, auto b) {
    if (std::is_integral_v<decltype(a)> && b == 0) c.fail("integer division by zero");
    return Quotient()(a, b);
  });
}

bool div_lower(LowerContext& c) { return lower_division(c, Quotient()); }

void add_gradient(GradientContext& c) {
  for (const size_t i : {0, 1}) {
    if (c.wants(i)) c.set_grad(i, sum_to_input(c, c.grad_output(), i));
  }
}

void sub_gradient(GradientContext& c) {
  if (c.wants(0)) c.set_grad(0, sum_to_input(c, c.grad_output(), 0));
  if (c.wants(1)) c.set_grad(1, c.add("Neg", {sum_to_input(c, c.grad_output(), 1)}));
}

void mul_gradient(GradientContext& c) {
  for (const size_t i : {0, 1}) {
    if (c.wants(i)) c.set_grad(i, sum_to_input(c, c.add("Mul", {c.grad_output(), c.input(1 - i)}), i));
  }
}

/// d(a/b)/db = -y/b.
void div_gradient(GradientContext& c) {
  const ValueId share = c.add("Div", {c.grad_output(), c.input(1)});
  if (c.wants(0)) c.set_grad(0, sum_to_input(c, share, 0));
  if (c.wants(1)) c.set_grad(1, c.add("Neg", {sum_to_input(c, c.add("Mul", {share, c.output()}), 1)}));
}

/// Before version 7 an attribute says how input 1 is broadcast: left to the reference.
template <ElementKind kKind>
std::optional<ElementOp> element(const InferContext& c) {
  if (c.version() < 7 && c.node().domain.empty()) return std::nullopt;
  return ElementOp{kKind};
}

}  // namespace

extern const Op add;
const Op add = {
    .name = "Add",
    .infer = add_infer,
    .evaluate = evaluate_by<WrapAdd>,
    .lower = lower<WrapAdd>,
    .element = element<ElementKind::add>,
    .gradient = add_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op sub;
const Op sub = {
    .name = "Sub",
    .infer = sub_infer,
    .evaluate = evaluate_by<WrapSub>,
    .lower = lower<WrapSub>,
    .element = element<ElementKind::sub>,
    .gradient = sub_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op mul;
const Op mul = {
    .name = "Mul",
    .infer = mul_infer,
    .evaluate = evaluate_by<WrapMul>,
    .lower = lower<WrapMul>,
    .element = element<ElementKind::mul>,
    .gradient = mul_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op div;
const Op div = {
    .name = "Div",
    .infer = div_infer,
    .evaluate = div_evaluate,
    .lower = div_lower,
    .element = element<ElementKind::div>,
    .gradient = div_gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
