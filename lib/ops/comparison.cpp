// Equal, Greater, GreaterOrEqual, Less, LessOrEqual: bool results of operands that broadcast.

#include "lib/ops/elementwise.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

bool is_comparable(DataType type) { return is_numeric(type) || is_boolean(type) || type == DataType::string; }

void infer(InferContext& c, bool (*allowed)(DataType), const char* expected) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, allowed, expected);
  require_same_type(c, 0, 1);
  c.set(0, broadcast_type(c, DataType::boolean));
}

void equal_infer(InferContext& c) { infer(c, is_comparable, "a numeric type, bool or string"); }
void order_infer(InferContext& c) { infer(c, is_numeric, "a numeric type"); }

template <class F>
void compare(EvaluateContext& c, F f) {
  const Tensor b = aligned_operand(c);
  dispatch_number(c.input(0).type(), [&]<class T>() { c.set(0, zip<bool, T>(c.input(0), b, f)); });
}

void equal_evaluate(EvaluateContext& c) {
  const Tensor &a = c.input(0), b = aligned_operand(c);
  if (a.type() == DataType::boolean) return c.set(0, zip<bool, bool>(a, b, [](bool x, bool y) { return x == y; }));
  if (a.type() != DataType::string) return compare(c, [](auto x, auto y) { return x == y; });
  Tensor y(DataType::boolean, broadcast(a.dims(), b.dims()));
  const auto x0 = a.strings(), x1 = b.strings();
  const auto out = y.mutable_data<bool>();
  BroadcastWalk<2>(y.dims(), {a.dims(), b.dims()}).run([&](int64_t to, const auto& at, const auto& step, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[to + i] = x0[at[0] + i * step[0]] == x1[at[1] + i * step[1]];
  });
  c.set(0, std::move(y));
}

struct IsEqual {
  template <class T>
  bool operator()(T x, T y) const { return x == y; }
};
struct IsGreater {
  template <class T>
  bool operator()(T x, T y) const { return x > y; }
};
struct IsGreaterOrEqual {
  template <class T>
  bool operator()(T x, T y) const { return x >= y; }
};
struct IsLess {
  template <class T>
  bool operator()(T x, T y) const { return x < y; }
};
struct IsLessOrEqual {
  template <class T>
  bool operator()(T x, T y) const { return x <= y; }
};

template <class F>
void order_evaluate(EvaluateContext& c) {
  compare(c, F());
}

/// The types that models compare.
template <class F>
bool lower(LowerContext& c) {
  return lower_zip<bool, float>(c, F()) || lower_zip<bool, int64_t>(c, F()) || lower_zip<bool, int32_t>(c, F()) ||
         lower_zip<bool, bool>(c, F());
}

}  // namespace

extern const Op equal;
const Op equal = {
    .name = "Equal",
    .infer = equal_infer,
    .evaluate = equal_evaluate,
    .lower = lower<IsEqual>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op greater;
const Op greater = {
    .name = "Greater",
    .infer = order_infer,
    .evaluate = order_evaluate<IsGreater>,
    .lower = lower<IsGreater>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op greater_or_equal;
const Op greater_or_equal = {
    .name = "GreaterOrEqual",
    .infer = order_infer,
    .evaluate = order_evaluate<IsGreaterOrEqual>,
    .lower = lower<IsGreaterOrEqual>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op less;
const Op less = {
    .name = "Less",
    .infer = order_infer,
    .evaluate = order_evaluate<IsLess>,
    .lower = lower<IsLess>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op less_or_equal;
const Op less_or_equal = {
    .name = "LessOrEqual",
    .infer = order_infer,
    .evaluate = order_evaluate<IsLessOrEqual>,
    .lower = lower<IsLessOrEqual>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
