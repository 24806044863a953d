#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/products.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

bool is_set(const Node& node, const char* attribute) { return node.get<int64_t>(attribute, 0) != 0; }

/// C must broadcast one way to [M, N]; before version 7 only with the attribute `broadcast`.
void check_c(const InferContext& c, const SymbolicDims& result) {
  if (!c.has_input(2) || !c.has_rank(2)) return;
  const SymbolicDims& dims = c.dims(2);
  bool fits = dims.size() <= 2 && (c.version() >= 7 || is_set(c.node(), "broadcast") || dims.size() == 2);
  for (size_t i = 0; fits && i < dims.size(); ++i) {
    const Dim &size = dims[dims.size() - 1 - i], &full = result[1 - i];
    fits = !size.known() || !full.known() || size.is(1) || size == full;
  }
  if (!fits) c.fail("C has shape " + to_string(dims) + ", which does not broadcast to " + to_string(result));
}

/// y[M, N] = alpha * op(a) op(b) + beta * c; op transposes where transA or transB says so.
void infer(InferContext& c) {
  c.require_inputs(c.version() >= 11 ? 2 : 3, 3);
  for (const size_t i : {0, 1, 2}) {
    require_type(c, i, is_numeric, "a numeric type");
    require_same_type(c, 0, i);
  }
  SymbolicDims result(2);
  Dim inner[2];
  for (const size_t i : {0, 1}) {
    c.require_rank(i, 2, 2);
    if (!c.has_rank(i)) continue;
    const bool transposed = is_set(c.node(), i == 0 ? "transA" : "transB");
    inner[i] = c.dims(i)[transposed ? i : 1 - i];
    result[i] = c.dims(i)[transposed ? 1 - i : i];
  }
  if (inner[0].known() && inner[1].known() && !(inner[0] == inner[1])) {
    c.fail("weight has " + inner[1].str() + " input features, expected " + inner[0].str());
  }
  check_c(c, result);
  c.set(0, c.elem_type(0), std::move(result));
}

template <class T>
Tensor transposed(const Tensor& x) {
  const int64_t rows = x.dims()[0], columns = x.dims()[1];
  Tensor y(x.type(), {columns, rows});
  const auto in = x.data<T>();
  const auto out = y.mutable_data<T>();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[j * rows + i] = in[i * columns + j];
  }
  return y;
}

template <class T>
void evaluate_as(EvaluateContext& c) {
  const Tensor a = is_set(c.node(), "transA") ? transposed<T>(c.input(0)) : c.input(0);
  const Tensor b = is_set(c.node(), "transB") ? transposed<T>(c.input(1)) : c.input(1);
  const double alpha = static_cast<double>(c.node().get<float>("alpha", 1.0f));
  const double beta = static_cast<double>(c.node().get<float>("beta", 1.0f));
  Tensor y(a.type(), {a.dims()[0], b.dims()[1]});
  const Tensor* addend = c.has_input(2) && beta != 0 ? &c.input(2) : nullptr;
  const Dims step = addend ? broadcast_strides(addend->dims(), y.dims()) : Dims{0, 0};
  const T* add = addend ? addend->data<T>().data() : nullptr;
  const auto finish = [&](int64_t i, int64_t j, auto sum) {
    const auto extra = add ? static_cast<decltype(sum)>(add[i * step[0] + j * step[1]]) : decltype(sum)(0);
    if constexpr (std::is_integral_v<T>) {
      if (alpha == 1 && beta == 1) return wrap_add(sum, extra);
    }
    return convert<decltype(sum)>(alpha * static_cast<double>(sum) + beta * static_cast<double>(extra));
  };
  multiply(a.data<T>().data(), b.data<T>().data(), y.mutable_data<T>().data(), y.dims()[0], y.dims()[1], a.dims()[1], finish);
  c.set(0, std::move(y));
}

void evaluate(EvaluateContext& c) {
  dispatch_number(c.input(0).type(), [&]<class T>() { evaluate_as<T>(c); });
}

Cost cost(const InferContext& c) {
  const auto a = c.type(0).known_dims();
  const int64_t out = known_elements(c.output(0).type);
  const int64_t macs = a ? checked_mul(out, (*a)[is_set(c.node(), "transA") ? 0 : 1]) : 0;
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), c.has_input(2) ? out : 0), .bytes = known_traffic(c)};
}

std::vector<int> parameters(const Node&) { return {1, 2}; }

/// y = x op(w) + b with plain factors and one bias per output: a fully connected layer.
bool is_layer(const Node& node, const Type& w, const Type* bias) {
  if (is_set(node, "transA") || node.get<float>("alpha", 1.0f) != 1 || node.get<float>("beta", 1.0f) != 1) return false;
  if (!bias) return true;
  const auto weight = w.known_dims(), dims = bias->known_dims();
  if (!weight || !dims || dims->empty()) return false;
  return element_count(*dims) == dims->back() && dims->back() == (*weight)[is_set(node, "transB") ? 0 : 1];
}

/// A layer, or else a matrix product of plain operands.
bool lower(LowerContext& c) {
  if (c.type(0) != DataType::float32 || element_count(c.output_dims(0)) == 0 || element_count(c.dims(0)) == 0) return false;
  const Type bias = c.has_input(2) ? c.facts().type(2) : Type();
  if (c.is_weight(1) && is_layer(c.node(), c.facts().type(1), c.has_input(2) ? &bias : nullptr)) return lower_layer(c, !is_set(c.node(), "transB"));
  std::optional<Addend> addend;
  if (c.has_input(2)) addend = Addend{2, c.node().get<float>("beta", 1.0f)};
  if (addend && addend->beta == 0) addend.reset();
  return lower_product(c, 0, is_set(c.node(), "transA"), 1, is_set(c.node(), "transB"), c.node().get<float>("alpha", 1.0f), addend);
}

/// Through the layer's own gradients where it is one; otherwise
/// dA' = alpha dy B'^T and dB' = alpha A'^T dy, where A' and B' are what is multiplied; transposed where the input is.
void gradient(GradientContext& c) {
  const int64_t trans_a = is_set(c.node(), "transA"), trans_b = is_set(c.node(), "transB");
  const ValueId a = c.input(0), b = c.input(1), dy = c.grad_output();
  if (is_layer(c.node(), c.type(b), c.input(2) == kNone ? nullptr : &c.type(c.input(2)))) {
    const std::vector<Attribute> attributes = {{"transB", trans_b, {}}};
    const bool with_bias = c.wants(2) && c.type(c.input(2)).rank() == 1;
    if (c.wants(1) || with_bias) {
      const auto grads = c.add_many("GemmGradWeight", {a, dy, b}, with_bias ? 2 : 1, attributes);
      c.set_grad(1, grads[0]);
      if (with_bias) c.set_grad(2, grads[1]);
    }
    if (c.wants(0)) c.set_grad(0, c.add("GemmGradInput", {dy, b, a}, attributes));
    if (c.wants(2) && !with_bias) c.set_grad(2, sum_to_input(c, dy, 2));
    return;
  }
  const auto product = [&](ValueId left, ValueId right, int64_t trans_left, int64_t trans_right) {
    return c.add("Gemm", {left, right},
                 {{"alpha", c.node().get<float>("alpha", 1.0f), {}}, {"transA", trans_left, {}}, {"transB", trans_right, {}}});
  };
  if (c.wants(0)) c.set_grad(0, trans_a ? product(b, dy, trans_b, 1) : product(dy, b, 0, 1 - trans_b));
  if (c.wants(1)) c.set_grad(1, trans_b ? product(dy, a, 1, trans_a) : product(a, dy, 1 - trans_a, 0));
  if (!c.wants(2)) return;
  const float beta = c.node().get<float>("beta", 1.0f);
  const ValueId sum = sum_to_input(c, dy, 2);
  c.set_grad(2, beta == 1 ? sum : c.add("Mul", {sum, c.scalar(static_cast<double>(beta), c.input(2))}));
}

}  // namespace

extern const Op gemm;
const Op gemm = {
    .name = "Gemm",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsActivations,
    .gradient = gradient,
    .units = units::gemm,
    .cut = cuts::gemm,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
