#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/integer.h"

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

}  // namespace

extern const Op pow;
const Op pow = {
    .name = "Pow",
    .infer = infer,
    .evaluate = evaluate,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
