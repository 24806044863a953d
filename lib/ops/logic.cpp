// And, Or, Xor, Not on bool; IsInf, IsNaN; bitwise operators on integers.

#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void bool_infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_boolean, "bool");
  c.set(0, broadcast_type(c, DataType::boolean));
}

void not_infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_boolean, "bool");
  c.set(0, c.type(0));
}

void is_float_infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  Type type = c.type(0);
  type.elem_type = DataType::boolean;
  c.set(0, type);
}

void bitwise_infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_integer, "an integer type");
  require_same_type(c, 0, 1);
  c.set(0, broadcast_type(c, c.elem_type(0)));
}

void bitwise_not_infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_integer, "an integer type");
  c.set(0, c.type(0));
}

template <class F>
void combine_bools(EvaluateContext& c, F f) {
  c.set(0, zip<bool, bool>(c.input(0), aligned_operand(c), f));
}

struct Both {
  bool operator()(bool a, bool b) const { return a && b; }
};
struct Either {
  bool operator()(bool a, bool b) const { return a || b; }
};
struct Differ {
  bool operator()(bool a, bool b) const { return a != b; }
};

template <class F>
void bool_evaluate(EvaluateContext& c) {
  combine_bools(c, F());
}
template <class F>
bool bool_lower(LowerContext& c) {
  return lower_zip<bool, bool>(c, F());
}

void not_evaluate(EvaluateContext& c) {
  c.set(0, map<bool, bool>(c.input(0), [](bool v) { return !v; }));
}
bool not_lower(LowerContext& c) {
  return lower_map<bool, bool>(c, [](bool v) { return !v; });
}

template <class F>
void test_float(EvaluateContext& c, F f) {
  dispatch_float(c.input(0).type(), [&]<class T>() { c.set(0, map<bool, T>(c.input(0), f)); });
}

void is_nan_evaluate(EvaluateContext& c) {
  test_float(c, [](auto v) { return std::isnan(v); });
}

void is_inf_evaluate(EvaluateContext& c) {
  const bool negative = c.node().get<int64_t>("detect_negative", 1) != 0;
  const bool positive = c.node().get<int64_t>("detect_positive", 1) != 0;
  test_float(c, [=](auto v) { return std::isinf(v) && (v < 0 ? negative : positive); });
}

bool is_nan_lower(LowerContext& c) {
  return lower_map<bool, float>(c, [](float v) { return std::isnan(v); });
}

bool is_inf_lower(LowerContext& c) {
  const bool negative = c.node().get<int64_t>("detect_negative", 1) != 0;
  const bool positive = c.node().get<int64_t>("detect_positive", 1) != 0;
  return lower_map<bool, float>(c, [=](float v) { return std::isinf(v) && (v < 0 ? negative : positive); });
}

template <class F>
void combine_bits(EvaluateContext& c, F f) {
  dispatch_number(c.input(0).type(), [&]<class T>() {
    if constexpr (std::is_integral_v<T>) c.set(0, zip<T, T>(c.input(0), c.input(1), f));
  });
}

struct BitAnd {
  auto operator()(auto a, auto b) const { return static_cast<decltype(a)>(a & b); }
};
struct BitOr {
  auto operator()(auto a, auto b) const { return static_cast<decltype(a)>(a | b); }
};
struct BitXor {
  auto operator()(auto a, auto b) const { return static_cast<decltype(a)>(a ^ b); }
};
struct ShiftLeft {
  template <class T>
  T operator()(T a, T b) const { return static_cast<uint64_t>(b) >= 8 * sizeof(T) ? T(0) : static_cast<T>(static_cast<uint64_t>(a) << b); }
};
struct ShiftRight {
  template <class T>
  T operator()(T a, T b) const { return static_cast<uint64_t>(b) >= 8 * sizeof(T) ? T(0) : static_cast<T>(a >> b); }
};

template <class F>
void bitwise_evaluate(EvaluateContext& c) {
  combine_bits(c, F());
}

/// Of every integer type.
template <class F>
bool bitwise_lower(LowerContext& c) {
  const F f;
  return lower_zip_integers(c, f) || lower_zip<uint8_t, uint8_t>(c, f) || lower_zip<int8_t, int8_t>(c, f) || lower_zip<uint16_t, uint16_t>(c, f) ||
         lower_zip<int16_t, int16_t>(c, f) || lower_zip<uint32_t, uint32_t>(c, f) || lower_zip<uint64_t, uint64_t>(c, f);
}

template <class T>
bool lower_complement(LowerContext& c) {
  return lower_map<T, T>(c, [](T v) { return static_cast<T>(~v); });
}
bool bitwise_not_lower(LowerContext& c) {
  return lower_complement<int64_t>(c) || lower_complement<int32_t>(c) || lower_complement<uint8_t>(c) || lower_complement<int8_t>(c) ||
         lower_complement<uint16_t>(c) || lower_complement<int16_t>(c) || lower_complement<uint32_t>(c) || lower_complement<uint64_t>(c);
}

void bitwise_not_evaluate(EvaluateContext& c) {
  dispatch_number(c.input(0).type(), [&]<class T>() {
    if constexpr (std::is_integral_v<T>) c.set(0, map<T, T>(c.input(0), [](T v) { return static_cast<T>(~v); }));
  });
}

/// A shift by the width or more leaves nothing.
void bit_shift_evaluate(EvaluateContext& c) {
  const auto direction = c.node().require<std::string>("direction");
  if (direction != "LEFT" && direction != "RIGHT") c.fail("direction is '" + direction + "', expected LEFT or RIGHT");
  if (direction == "LEFT") combine_bits(c, ShiftLeft());
  else combine_bits(c, ShiftRight());
}

bool bit_shift_lower(LowerContext& c) {
  const auto direction = c.node().get<std::string>("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") return false;
  return direction == "LEFT" ? bitwise_lower<ShiftLeft>(c) : bitwise_lower<ShiftRight>(c);
}

}  // namespace

extern const Op logical_and;
const Op logical_and = {
    .name = "And",
    .infer = bool_infer,
    .evaluate = bool_evaluate<Both>,
    .lower = bool_lower<Both>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op logical_or;
const Op logical_or = {
    .name = "Or",
    .infer = bool_infer,
    .evaluate = bool_evaluate<Either>,
    .lower = bool_lower<Either>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op logical_xor;
const Op logical_xor = {
    .name = "Xor",
    .infer = bool_infer,
    .evaluate = bool_evaluate<Differ>,
    .lower = bool_lower<Differ>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op logical_not;
const Op logical_not = {
    .name = "Not",
    .infer = not_infer,
    .evaluate = not_evaluate,
    .lower = not_lower,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op is_inf;
const Op is_inf = {
    .name = "IsInf",
    .infer = is_float_infer,
    .evaluate = is_inf_evaluate,
    .lower = is_inf_lower,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op is_nan;
const Op is_nan = {
    .name = "IsNaN",
    .infer = is_float_infer,
    .evaluate = is_nan_evaluate,
    .lower = is_nan_lower,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op bitwise_and;
const Op bitwise_and = {
    .name = "BitwiseAnd",
    .infer = bitwise_infer,
    .evaluate = bitwise_evaluate<BitAnd>,
    .lower = bitwise_lower<BitAnd>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op bitwise_or;
const Op bitwise_or = {
    .name = "BitwiseOr",
    .infer = bitwise_infer,
    .evaluate = bitwise_evaluate<BitOr>,
    .lower = bitwise_lower<BitOr>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op bitwise_xor;
const Op bitwise_xor = {
    .name = "BitwiseXor",
    .infer = bitwise_infer,
    .evaluate = bitwise_evaluate<BitXor>,
    .lower = bitwise_lower<BitXor>,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op bitwise_not;
const Op bitwise_not = {
    .name = "BitwiseNot",
    .infer = bitwise_not_infer,
    .evaluate = bitwise_not_evaluate,
    .lower = bitwise_not_lower,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op bit_shift;
const Op bit_shift = {
    .name = "BitShift",
    .infer = bitwise_infer,
    .evaluate = bit_shift_evaluate,
    .lower = bit_shift_lower,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
