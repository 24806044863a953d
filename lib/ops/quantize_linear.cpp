// QuantizeLinear and DequantizeLinear: per tensor, per axis and in blocks.

#include <cmath>

#include "lib/kernels/quantize.h"
#include "lib/ops/cost.h"
#include "lib/ops/cut.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/quantization.h"
#include "lib/ops/unit_rules.h"
#include "lib/tensor/take.h"

namespace espalier::ops {
namespace {

bool is_quantizable(DataType type) { return is_float(type) || type == DataType::int32; }
bool is_dequantizable(DataType type) { return is_quantized(type) || type == DataType::int32; }

/// Shapes of scale and zero point, where they are known. Version 10 has one scale only.
void check_scales(const InferContext& c) {
  const auto x = c.type(0).known_dims(), scale = c.type(1).known_dims(), zero = c.type(2).known_dims();
  if (c.version() < 13 && scale && element_count(*scale) != 1) c.fail("scale has shape " + to_string(*scale) + ", expected a scalar");
  if (scale && zero && *scale != *zero && element_count(*scale) + element_count(*zero) != 2) {
    c.fail("zero point has shape " + to_string(*zero) + ", expected that of the scale, " + to_string(*scale));
  }
  if (x && scale) granularity(c.node(), *x, *scale);
}

void infer_quantize(InferContext& c) {
  c.require_inputs(2, 3);
  require_type(c, 0, is_quantizable, "float16, bfloat16, float, double or int32");
  require_type(c, 1, is_quantizable, "a float type");
  require_type(c, 2, is_quantized, "a quantized type");
  type_attribute(c, "precision");
  const DataType named = type_attribute(c, "output_dtype"), zero = c.elem_type(2);
  if (named != DataType::undefined && zero != DataType::undefined && named != zero) {
    c.fail("output_dtype is " + std::string(name(named)) + ", but the zero point is " + std::string(name(zero)));
  }
  const DataType made = quantized_type(c.node(), zero);
  if (!is_quantized(made)) c.fail("cannot quantize to " + std::string(name(made)));
  check_scales(c);
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = c.has_input(2) && zero == DataType::undefined ? DataType::undefined : made;
  c.set(0, std::move(type));
}

void infer_dequantize(InferContext& c) {
  c.require_inputs(2, 3);
  require_type(c, 0, is_dequantizable, "a quantized type or int32");
  require_type(c, 1, is_float, "a float type");
  require_same_type(c, 0, 2);
  const DataType named = type_attribute(c, "output_dtype");
  if (named != DataType::undefined && !is_float(named)) c.fail("cannot dequantize to " + std::string(name(named)));
  check_scales(c);
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = named == DataType::undefined ? c.elem_type(1) : named;
  c.set(0, std::move(type));
}

/// Numbers of any type that has to do with quantization.
Tensor numbers(const Tensor& x) { return (is_narrow(x.type()) ? widen(x) : x).cast(DataType::float64); }

/// x / scale rounded to `precision`, as double.
Tensor divided(const Tensor& x, const Tensor& scale, const Granularity& g, DataType precision) {
  Tensor result(DataType::float64, x.dims());
  const auto out = result.mutable_data<double>();
  const Tensor xs = x.cast(DataType::float64), ss = scale.cast(DataType::float64);
  const auto in = xs.data<double>(), by = ss.data<double>();
  dispatch_float(precision, [&]<class T>() {
    for_each_run(g, [&](int64_t first, int64_t n, int64_t at, int64_t step) {
      for (int64_t i = 0; i < n; ++i) {
        const Calc<T> quotient = static_cast<Calc<T>>(in[first + i]) / static_cast<Calc<T>>(by[at + i * step]);
        out[first + i] = static_cast<double>(store<T>(quotient));
      }
    });
  });
  return result;
}

void evaluate_quantize(EvaluateContext& c) {
  const Tensor &x = c.input(0), &scale = c.input(1);
  const Granularity g = granularity(c.node(), x.dims(), scale.dims());
  const DataType type = quantized_type(c.node(), c.has_input(2) ? c.input(2).type() : DataType::undefined);
  auto precision = static_cast<DataType>(c.node().get<int64_t>("precision", 0));
  if (precision == DataType::undefined) precision = is_float(scale.type()) ? scale.type() : DataType::float32;
  if (x.type() == DataType::float64) precision = DataType::float64;
  Tensor y = divided(x, scale, g, precision);
  const Tensor zeros = c.has_input(2) ? numbers(c.input(2)) : Tensor(DataType::float64, scale.dims());
  const auto out = y.mutable_data<double>();
  const auto zero = zeros.data<double>();
  const bool rounds = is_quantized_integer(type);
  for_each_run(g, [&](int64_t first, int64_t n, int64_t at, int64_t step) {
    for (int64_t i = 0; i < n; ++i) out[first + i] = (rounds ? std::nearbyint(out[first + i]) : out[first + i]) + zero[at + i * step];
  });
  c.set(0, rounds ? saturated(y, type) : narrow(y, type, c.node().get<int64_t>("saturate", 1) != 0));
}

void evaluate_dequantize(EvaluateContext& c) {
  const Tensor& scale = c.input(1);
  const Tensor x = numbers(c.input(0)), scales = scale.cast(DataType::float64);
  const Granularity g = granularity(c.node(), x.dims(), scale.dims());
  const Tensor zeros = c.has_input(2) ? numbers(c.input(2)) : Tensor(DataType::float64, scale.dims());
  auto type = static_cast<DataType>(c.node().get<int64_t>("output_dtype", 0));
  if (type == DataType::undefined) type = scale.type();
  const auto in = x.data<double>(), by = scales.data<double>(), zero = zeros.data<double>();
  dispatch_float(type, [&]<class T>() {
    Tensor y(type, x.dims());
    const auto out = y.mutable_data<T>();
    for_each_run(g, [&](int64_t first, int64_t n, int64_t at, int64_t step) {
      for (int64_t i = 0; i < n; ++i) {
        const int64_t k = at + i * step;
        out[first + i] = store<T>(static_cast<Calc<T>>(in[first + i] - zero[k]) * static_cast<Calc<T>>(by[k]));
      }
    });
    c.set(0, std::move(y));
  });
}

/// Scales and zero points of the loops: constants, per tensor in any layout, per axis in plain order.
std::optional<QuantizeRows> rows_of(const LowerContext& c, DataType quantized, const Layout& layout) {
  const bool loops = is_quantized_integer(quantized) && !is_narrow(quantized);
  const Tensor *scale = c.constant(1), *zero = c.constant(2);
  if (!loops || !scale || scale->type() != DataType::float32 || (c.has_input(2) && !zero)) return std::nullopt;
  const Granularity g = granularity(c.node(), c.dims(0), scale->dims());
  if (g.blocked || element_count(c.dims(0)) == 0) return std::nullopt;
  QuantizeRows rows{g.outer, g.length, g.inner, {}, {}};
  if (g.outer * g.length == 1) rows.inner = layout.padded_count();
  else if (!layout.is_plain()) return std::nullopt;
  for (const double s : scale->to_doubles()) rows.scales.push_back(static_cast<float>(s));
  rows.zero_points.assign(rows.scales.size(), 0);
  if (zero) {
    const auto values = zero->to_int64s();
    for (size_t i = 0; i < values.size(); ++i) rows.zero_points[i] = static_cast<int32_t>(values[i]);
  }
  return rows;
}

/// In the layout of the input where the scale is one, else in plain order.
bool lower_step(LowerContext& c, DataType quantized, DataType to,
                std::unique_ptr<Kernel> (*make)(DataType, QuantizeRows)) {
  const DataType from = c.type(0);
  if (from != DataType::float32 && to != DataType::float32) return false;
  Layout in = c.layout(0);
  auto out = retyped(in, to);
  std::optional<QuantizeRows> rows;
  if (out) rows = rows_of(c, quantized, in);
  if (!rows) {
    in = Layout::plain(from, c.dims(0));
    out = Layout::plain(to, c.dims(0));
    rows = rows_of(c, quantized, in);
  }
  if (!rows) return false;
  const Operand x = c.read(0, in);
  const Operand y = c.write(0, *out);
  c.step(make(quantized, std::move(*rows)), {x, y}, "loop");
  return true;
}

bool lower_quantize(LowerContext& c) {
  const DataType made = c.facts().output(0).type.elem_type;
  const bool other = c.node().get<int64_t>("precision", 0) > 1;
  return c.type(0) == DataType::float32 && !other && lower_step(c, made, made, quantize);
}

bool lower_dequantize(LowerContext& c) {
  const auto type = c.node().get<int64_t>("output_dtype", 0);
  return type <= 1 && lower_step(c, c.type(0), DataType::float32, dequantize);
}

/// Straight through (Bengio et al. 2013): rounding counts as the identity, beyond the range nothing flows.
void gradient_quantize(GradientContext& c) {
  if (c.wants(1)) c.fail("cannot be differentiated by its scale");
  if (!c.wants(0)) return;
  c.set_grad(0, c.add("QuantizeLinearGrad", {c.input(0), c.input(1), c.input(2), c.grad_output()}, c.node().attributes));
}

void gradient_dequantize(GradientContext& c) {
  if (c.wants(1)) c.fail("cannot be differentiated by its scale");
  if (c.wants(0)) c.set_grad(0, c.add("DequantizeLinearGrad", {c.grad_output(), c.input(1)}, c.node().attributes));
}

/// The axis whose channels have scales of their own; -1: one scale for all. Nothing where ids cannot pass.
std::optional<int> scaled_axis(const UnitNode& c) {
  const ValueId x = c.input(0), scale = c.input(1);
  if (c.constant(x)) return std::nullopt;
  const int64_t scales = element_count(c.dims(scale));
  if (scales != 1 && (!c.constant(scale) || c.active(c.input(2)))) return std::nullopt;
  if (c.node().get<int64_t>("block_size", 0) != 0) return std::nullopt;
  return quantized_axis(c.node(), c.rank(x), scales).value_or(-1);
}

void units_of(UnitContext& c) {
  const auto axis = scaled_axis(c);
  if (!axis) return c.opaque();
  if (*axis >= 0) c.axis_ids(c.input(0), *axis);
  units::same(c);
}

void cut_of(CutContext& c) {
  const auto axis = scaled_axis(c);
  if (!axis) return c.opaque();
  const ValueId x = c.input(0);
  if (*axis >= 0 && !c.kept(x).empty()) {
    const std::vector<int64_t> order = c.order(x, *axis);
    for (const size_t i : {size_t{1}, size_t{2}}) {
      if (c.input(i) != kNone) c.set_input(i, c.cut_constant(c.input(i), take(c.tensor(c.input(i)), 0, order)));
    }
  }
  cuts::same(c);
}

}  // namespace

/// Quantizes (x, scale, zero_point): DESIGN.md section 7 on channels that have scales of their own.
extern const Op quantize_linear;
const Op quantize_linear = {
    .name = "QuantizeLinear",
    .since = 10,
    .until = 25,
    .infer = infer_quantize,
    .evaluate = evaluate_quantize,
    .lower = lower_quantize,
    .gradient = gradient_quantize,
    .units = units_of,
    .cut = cut_of,
    .cost = cost_elementwise,
};

extern const Op dequantize_linear;
const Op dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 10,
    .until = 25,
    .infer = infer_dequantize,
    .evaluate = evaluate_dequantize,
    .lower = lower_dequantize,
    .gradient = gradient_dequantize,
    .units = units_of,
    .cut = cut_of,
    .cost = cost_elementwise,
};

}  // namespace espalier::ops
