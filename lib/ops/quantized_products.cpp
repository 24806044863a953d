// ConvInteger, MatMulInteger, QLinearConv and QLinearMatMul: Conv and MatMul on numbers less their zero points. Sums of
// products of 8-bit integers are exact in double.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/delegate.h"
#include "lib/ops/quantization.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {

extern const Op conv;
extern const Op matmul;

namespace {

bool is_factor(DataType type) {
  return type == DataType::int8 || type == DataType::uint8 || (is_narrow(type) && !is_quantized_integer(type));
}
constexpr const char* kFactors = "int8, uint8 or a float of 8 bits";

Type as_float(Type type) {
  if (type.is_tensor()) type.elem_type = DataType::float32;
  return type;
}

/// The operand `by` of a rank-n operand `x`: one number, one for each index of `axis`, or a shape that broadcasts to it.
/// As a shape that broadcasts, or nothing.
std::optional<Dims> spread_along(const Dims& by, const Dims& x, size_t axis) {
  if (element_count(by) == 1) return Dims{};
  if (by.size() == 1 && by[0] == x[axis]) {
    Dims dims(x.size(), 1);
    dims[axis] = by[0];
    return dims;
  }
  if (by.size() != x.size()) return std::nullopt;
  for (size_t i = 0; i < by.size(); ++i) {
    if (by[i] != x[i] && by[i] != 1) return std::nullopt;
  }
  return by;
}

/// Where scale and zero point of an operand stand, and the axis that each of their elements serves.
struct Operand {
  size_t x, scale, zero;
  bool matrix;   ///< of MatMul: rows of the left one, columns of the right one; else of Conv
  bool weight;
  size_t axis(size_t rank) const {
    if (!matrix) return 0;
    return weight ? rank - 1 : rank >= 2 ? rank - 2 : 0;
  }
};

constexpr size_t kNothing = 99;

void check_operand(const InferContext& c, const Operand& o) {
  require_type(c, o.x, is_factor, kFactors);
  if (o.zero < c.input_count()) require_same_type(c, o.x, o.zero);
  const auto x = c.type(o.x).known_dims();
  for (const size_t i : {o.scale, o.zero}) {
    const auto by = i < c.input_count() ? c.type(i).known_dims() : std::nullopt;
    if (!x || !by) continue;
    if (!o.matrix && !o.weight && element_count(*by) != 1) c.fail("scale or zero point of the input has shape " + to_string(*by) + ", expected a scalar");
    if (x->empty() || !spread_along(*by, *x, o.axis(x->size()))) {
      c.fail("scale or zero point has shape " + to_string(*by) + ", which does not fit the operand's " + to_string(*x));
    }
  }
}

Tensor numbers(const Tensor& x) { return (is_narrow(x.type()) ? widen(x) : x).cast(DataType::float64); }

Tensor spread_numbers(const EvaluateContext& c, size_t i, const Dims& x, size_t axis) {
  const auto dims = spread_along(c.input(i).dims(), x, axis);
  if (!dims) c.fail("scale or zero point does not fit its operand");
  return numbers(c.input(i)).reshaped(*dims);
}

/// x less its zero point.
Tensor centred(const EvaluateContext& c, const Operand& o) {
  const Tensor x = numbers(c.input(o.x));
  if (!c.has_input(o.zero)) return x;
  return zip<double, double>(x, spread_numbers(c, o.zero, x.dims(), o.axis(x.dims().size())), [](double a, double b) { return a - b; });
}

constexpr Operand integer_operand(bool matrix, bool weight) { return {weight ? size_t{1} : 0, kNothing, weight ? size_t{3} : 2, matrix, weight}; }
constexpr Operand linear_operand(bool matrix, bool weight) {
  const size_t x = weight ? 3 : 0;
  return {x, x + 1, x + 2, matrix, weight};
}

template <bool kMatrix>
void infer_integer(InferContext& c) {
  c.require_inputs(2, 4);
  for (const bool weight : {false, true}) check_operand(c, integer_operand(kMatrix, weight));
  Type type = infer_as(c, kMatrix ? matmul : conv, {as_float(c.type(0)), as_float(c.type(1))});
  type.elem_type = DataType::int32;
  c.set(0, std::move(type));
}

/// Sums beyond 32 bits keep their low ones.
Tensor to_int32(const Tensor& sums) {
  Tensor y(DataType::int32, sums.dims());
  const auto in = sums.data<double>();
  const auto out = y.mutable_data<int32_t>();
  for (int64_t i = 0; i < sums.size(); ++i) out[i] = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(in[i])));
  return y;
}

template <bool kMatrix>
void evaluate_integer(EvaluateContext& c) {
  const Tensor x = centred(c, integer_operand(kMatrix, false)), w = centred(c, integer_operand(kMatrix, true));
  c.set(0, to_int32(evaluate_as(c, kMatrix ? matmul : conv, {x, w})));
}

template <bool kMatrix>
void infer_linear(InferContext& c) {
  c.require_inputs(8, kMatrix ? 8 : 9);
  for (const bool weight : {false, true}) check_operand(c, linear_operand(kMatrix, weight));
  require_type(c, 7, is_factor, kFactors);
  for (const size_t i : {1, 4, 6}) require_type(c, i, is_float, "a float type");
  if (!kMatrix && c.has_input(8) && c.type(8).is_tensor() && c.elem_type(8) != DataType::int32) c.fail("bias is " + c.type(8).str() + ", expected int32");
  const auto scale = c.type(6).known_dims(), zero = c.type(7).known_dims();
  if (scale && element_count(*scale) != 1 && !kMatrix) c.fail("scale of the output has shape " + to_string(*scale) + ", expected a scalar");
  if (scale && zero && element_count(*scale) != element_count(*zero)) c.fail("zero point of the output has shape " + to_string(*zero) + ", expected " + to_string(*scale));
  Type type = infer_as(c, kMatrix ? matmul : conv, {as_float(c.type(0)), as_float(c.type(3))});
  type.elem_type = c.elem_type(7);
  c.set(0, std::move(type));
}

/// Scales of the product: of the rows (left) and columns (right), as shapes that broadcast to the product.
Tensor product_scale(const EvaluateContext& c, const Operand& o, const Dims& product) {
  if (c.input(o.scale).size() == 1) return numbers(c.input(o.scale)).reshaped({});
  if (o.matrix) return spread_numbers(c, o.scale, c.input(o.x).dims(), o.axis(c.input(o.x).dims().size()));
  Dims dims(product.size(), 1);
  dims[1] = c.input(o.scale).size();
  return numbers(c.input(o.scale)).reshaped(dims);
}

template <bool kMatrix>
void evaluate_linear(EvaluateContext& c) {
  const Operand left = linear_operand(kMatrix, false), right = linear_operand(kMatrix, true);
  std::vector<Tensor> operands = {centred(c, left), centred(c, right)};
  if (c.has_input(8)) operands.push_back(numbers(c.input(8)));
  const Tensor sums = evaluate_as(c, kMatrix ? matmul : conv, operands);
  const auto times = [](float a, float b) { return a * b; };
  const auto as_float = [](const Tensor& t) { return t.cast(DataType::float32); };
  Tensor factor = zip<float, float>(as_float(product_scale(c, left, sums.dims())), as_float(product_scale(c, right, sums.dims())), times);
  factor = zip<float, float>(factor, as_float(numbers(c.input(6))), [](float a, float b) { return a / b; });
  const DataType type = c.input(7).type();
  const bool rounds = is_quantized_integer(type);
  Tensor y = zip<double, float>(as_float(sums), factor, [&](float a, float b) {
    return rounds ? std::nearbyint(static_cast<double>(a * b)) : static_cast<double>(a * b);
  });
  y = zip<double, double>(y, numbers(c.input(7)), [](double a, double b) { return a + b; });
  y = y.reshaped(sums.dims());
  c.set(0, rounds ? saturated(y, type) : narrow(y, type, true));
}

template <bool kMatrix, size_t kWeight>
Cost cost(const InferContext& c) {
  const auto w = c.type(kWeight).known_dims();
  const int64_t out = known_elements(c.output(0).type);
  int64_t each = 0;
  if (w && !w->empty()) each = kMatrix ? (*w)[w->size() >= 2 ? w->size() - 2 : 0] : (*w)[0] > 0 ? element_count(*w) / (*w)[0] : 0;
  const int64_t macs = checked_mul(out, each);
  return {.macs = macs, .flops = checked_mul(2, macs), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op conv_integer;
const Op conv_integer = {
    .name = "ConvInteger", .since = 10, .infer = infer_integer<false>, .evaluate = evaluate_integer<false>,
    .units = units::conv, .cut = cuts::conv, .cost = cost<false, 1>};

extern const Op matmul_integer;
const Op matmul_integer = {
    .name = "MatMulInteger", .since = 10, .infer = infer_integer<true>, .evaluate = evaluate_integer<true>,
    .units = units::quantized_matmul, .cut = cuts::quantized_matmul, .cost = cost<true, 1>};

extern const Op qlinear_conv;
const Op qlinear_conv = {
    .name = "QLinearConv", .since = 10, .infer = infer_linear<false>, .evaluate = evaluate_linear<false>,
    .units = units::conv, .cut = cuts::conv, .cost = cost<false, 3>};

extern const Op qlinear_matmul;
const Op qlinear_matmul = {
    .name = "QLinearMatMul", .since = 10, .infer = infer_linear<true>, .evaluate = evaluate_linear<true>,
    .units = units::quantized_matmul, .cut = cuts::quantized_matmul, .cost = cost<true, 3>};

}  // namespace espalier::ops
