// Cast and CastLike between numbers, bool, strings and the types of 8 bits and below.

#include <charconv>
#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/narrow_types.h"
#include "lib/ops/row_loop.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

bool is_castable(DataType type) {
  return is_numeric(type) || is_boolean(type) || type == DataType::string || is_narrow(type);
}

/// Target type of a Cast; undefined where the attribute names none. Before version 6 it is the type's name in capitals.
DataType target(const Node& node) {
  const Attribute* to = node.find("to");
  if (!to || !std::holds_alternative<std::string>(to->value)) {
    const auto number = node.require<int64_t>("to");
    return number < 1 || number > static_cast<int64_t>(DataType::float4e2m1) ? DataType::undefined : static_cast<DataType>(number);
  }
  std::string lower = std::get<std::string>(to->value);
  for (char& letter : lower) letter = static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
  for (int32_t i = 1; i <= 16; ++i) {
    if (name(static_cast<DataType>(i)) == lower) return static_cast<DataType>(i);
  }
  return DataType::undefined;
}

void infer(InferContext& c) {
  const bool like = c.node().op_type == "CastLike";
  c.require_inputs(like ? 2 : 1, like ? 2 : 1);
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = like ? c.elem_type(1) : target(c.node());
  if (!like && type.elem_type == DataType::undefined) c.fail("attribute 'to' is no element type");
  for (const DataType t : {c.elem_type(0), type.elem_type}) {
    if (t != DataType::undefined && !is_castable(t)) c.fail("cannot cast " + std::string(name(c.elem_type(0))) + " to " + std::string(name(type.elem_type)));
  }
  const bool keeps_numbers = is_integer(type.elem_type) && bit_width(type.elem_type) >= 32;
  c.set(0, std::move(type));
  const auto numbers = c.numbers(0);
  if (numbers && keeps_numbers) c.set_numbers(0, *numbers);
}

/// The fewest digits that read back as the same T, in numpy's notation: 0.5, 1e-05, inf, nan.
template <class T>
std::string to_text(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "True" : "False";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else {
    const auto v = static_cast<Calc<T>>(value);
    if (std::isnan(v)) return "nan";
    if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
    const auto size = std::abs(static_cast<double>(v));
    const auto format = size == 0 || (size >= 1e-4 && size < 1e16) ? std::chars_format::fixed : std::chars_format::scientific;
    char buffer[512];
    const char* end = std::to_chars(buffer, buffer + sizeof buffer, v, format).ptr;
    if constexpr (!std::is_same_v<T, Calc<T>>) {  // the shortest text of the float may be longer than needed
      for (int digits = 0; digits < 12; ++digits) {
        char shorter[512];
        const char* stop = std::to_chars(shorter, shorter + sizeof shorter, v, format, digits).ptr;
        float back = 0;
        std::from_chars(shorter, stop, back);
        if (T(back).bits != value.bits) continue;
        end = std::copy(static_cast<const char*>(shorter), stop, buffer);
        break;
      }
    }
    std::string text(static_cast<const char*>(buffer), end);
    if (format == std::chars_format::fixed && text.find('.') == std::string::npos) text += ".0";
    return text;
  }
}

template <class T>
T from_text(const EvaluateContext& c, const std::string& text) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  while (begin < end && (*begin == ' ' || *begin == '+')) ++begin;
  while (begin < end && end[-1] == ' ') --end;
  std::conditional_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, T, double> value = 0;
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "True" || text == "true") return true;
    if (text == "False" || text == "false") return false;
  }
  auto parsed = std::from_chars(begin, end, value);
  if (parsed.ptr == end && parsed.ec == std::errc()) return convert<T>(value);
  double number = 0;  // "2.7" as an integer
  parsed = std::from_chars(begin, end, number);
  if (parsed.ptr != end || begin == end || parsed.ec != std::errc()) c.fail("cannot read '" + text + "' as " + std::string(name(data_type_of<T>)));
  return convert<T>(number);
}

Tensor strings_of(const Tensor& x) {
  std::vector<std::string> texts;
  dispatch_numeric(x.type(), [&]<class T>() {
    for (const T v : x.data<T>()) texts.push_back(to_text(v));
  });
  return Tensor::of_strings(x.dims(), std::move(texts));
}

Tensor numbers_of(const EvaluateContext& c, const Tensor& x, DataType type) {
  Tensor y(type, x.dims());
  dispatch_numeric(type, [&]<class T>() {
    const auto out = y.mutable_data<T>();
    for (int64_t i = 0; i < x.size(); ++i) out[i] = from_text<T>(c, x.strings()[i]);
  });
  return y;
}

Tensor cast(const EvaluateContext& c, const Tensor& x, DataType type) {
  if (x.type() == type) return x;
  if (is_narrow(x.type())) return cast(c, widen(x), type);
  if (x.type() == DataType::string) {
    return is_narrow(type) ? cast(c, numbers_of(c, x, DataType::float32), type) : numbers_of(c, x, type);
  }
  if (type == DataType::string) return strings_of(x);
  if (is_narrow(type)) return narrow(x, type, c.node().get<int64_t>("saturate", 1) != 0);
  return x.cast(type);
}

void cast_evaluate(EvaluateContext& c) { c.set(0, cast(c, c.input(0), target(c.node()))); }
void cast_like_evaluate(EvaluateContext& c) { c.set(0, cast(c, c.input(0), c.input(1).type())); }

/// Between numbers of 8 bits and more and bool; to the same type nothing is done.
bool lower(LowerContext& c) {
  const DataType from = c.type(0), to = c.facts().output(0).type.elem_type;
  if (from == to && !c.is_weight(0)) {
    c.alias(0, 0, c.layout(0));
    return true;
  }
  const auto is_number = [](DataType type) { return is_numeric(type) || is_boolean(type); };
  if (from == to || !is_number(from) || !is_number(to)) return false;
  bool lowered = false;
  dispatch_numeric(from, [&]<class In>() {
    dispatch_numeric(to, [&]<class Out>() {
      if constexpr (!std::is_same_v<In, Out>) lowered = lower_map<Out, In>(c, [](In v) { return convert<Out>(v); });
    });
  });
  return lowered;
}

/// Between floats; through others no gradient flows.
void gradient(GradientContext& c) {
  const DataType from = c.type(c.input(0)).elem_type;
  if (from == DataType::undefined) c.fail("cannot be differentiated: the type of its input is not known");
  c.set_grad(0, c.add("Cast", {c.grad_output()}, {{"to", static_cast<int64_t>(from), {}}}));
}

}  // namespace

extern const Op cast_op;
const Op cast_op = {
    .name = "Cast",
    .until = 25,
    .infer = infer,
    .evaluate = cast_evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

extern const Op cast_like;
const Op cast_like = {
    .name = "CastLike",
    .until = 25,
    .infer = infer,
    .evaluate = cast_like_evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .shape_only_inputs = 2,
    .elementwise = true,
};

}  // namespace espalier::ops
