// DFT: the discrete Fourier transform along one axis, by its sum.

#include <cmath>
#include <complex>
#include <numbers>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/fourier.h"
#include "lib/ops/gradient.h"

namespace espalier::ops {
namespace {

constexpr int kAxisInputSince = 20;

/// The transform that a node asks for.
struct Transform {
  bool inverse, onesided;
  size_t axis;
};

bool flag(const Node& node, const char* name) { return node.get<int64_t>(name, 0) != 0; }

void infer(InferContext& c) {
  const bool has_axis = c.version() >= kAxisInputSince;
  c.require_inputs(1, has_axis ? 3 : 2);
  require_type(c, 0, is_float, "a float type");
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  const int64_t rank = c.rank(0);
  if (rank < 2) c.fail("input has rank " + std::to_string(rank) + ", expected at least 2: the last axis holds real and imaginary part");
  SymbolicDims dims = c.dims(0);
  const Dim parts = dims.back();
  if (parts.known() && parts.value() != 1 && parts.value() != 2) c.fail("last axis of the input has size " + parts.str() + ", expected 1 (real) or 2 (complex)");
  const bool onesided = flag(c.node(), "onesided"), inverse = flag(c.node(), "inverse");
  if (onesided && !inverse && parts.is(2)) c.fail("a one-sided transform needs a real input");
  std::optional<int64_t> axis = has_axis ? -2 : c.node().get<int64_t>("axis", 1);
  if (c.has_input(2)) {
    const auto given = c.integers(2);
    axis = given && given->size() == 1 ? std::optional(given->front()) : std::nullopt;
  }
  dims.back() = onesided && inverse ? 1 : 2;
  if (!axis) {
    for (size_t i = 0; i + 1 < dims.size(); ++i) dims[i] = Dim();
    return c.set(0, c.elem_type(0), std::move(dims));
  }
  const auto at = static_cast<size_t>(c.axis(*axis, rank));
  if (at + 1 == dims.size()) c.fail("axis is the last one, which holds real and imaginary part");
  Dim length = dims[at];
  if (onesided && inverse) length = length.known() ? Dim(2 * (length.value() - 1)) : Dim();
  if (c.has_input(1)) {
    const auto given = c.integers(1);
    length = given && given->size() == 1 ? Dim(given->front()) : Dim();
  }
  if (length.known() && length.value() < 1) c.fail("dft_length is " + length.str() + ", expected at least 1");
  if (onesided && !inverse) length = length.known() ? Dim(length.value() / 2 + 1) : Dim();
  dims[at] = length;
  c.set(0, c.elem_type(0), std::move(dims));
}

Transform transform_of(const EvaluateContext& c) {
  int64_t axis = c.version() >= kAxisInputSince ? -2 : c.node().get<int64_t>("axis", 1);
  if (c.has_input(2)) axis = c.input(2).to_int64s().at(0);
  return {flag(c.node(), "inverse"), flag(c.node(), "onesided"), static_cast<size_t>(normalize_axis(axis, c.input(0).rank()))};
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const Transform t = transform_of(c);
  if (t.axis + 1 >= x.dims().size()) c.fail("axis is the last one, which holds real and imaginary part");
  const int64_t present = x.dims()[t.axis];
  int64_t length = t.onesided && t.inverse ? 2 * (present - 1) : present;
  if (c.has_input(1)) length = c.input(1).to_int64s().at(0);
  if (length < 1) c.fail("dft_length is " + std::to_string(length) + ", expected at least 1");
  const int64_t parts = x.dims().back();
  Dims dims = x.dims();
  dims[t.axis] = t.onesided && !t.inverse ? length / 2 + 1 : length;
  dims.back() = t.onesided && t.inverse ? 1 : 2;
  Tensor y(DataType::float64, dims);
  const Tensor wide = x.cast(DataType::float64);
  const auto in = wide.data<double>();
  const auto out = y.mutable_data<double>();
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < t.axis; ++i) outer *= dims[i];
  for (size_t i = t.axis + 1; i + 1 < dims.size(); ++i) inner *= dims[i];
  const Turns turns(length, t.inverse);
  const int64_t made = dims[t.axis], out_parts = dims.back();
  parallel_for(outer * inner, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::complex<double>> signal(static_cast<size_t>(length)), result(static_cast<size_t>(made));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t o = row / inner, i = row % inner;
      std::fill(signal.begin(), signal.end(), 0.0);
      for (int64_t n = 0; n < std::min(present, length); ++n) {
        const double* at = in.data() + ((o * present + n) * inner + i) * parts;
        signal[static_cast<size_t>(n)] = {at[0], parts == 2 ? at[1] : 0.0};
      }
      if (t.onesided && t.inverse) mirror(signal, std::min(present, length / 2 + 1));
      turns.sum(signal, result);
      for (int64_t k = 0; k < made; ++k) {
        double* to = out.data() + ((o * made + k) * inner + i) * out_parts;
        to[0] = result[static_cast<size_t>(k)].real();
        if (out_parts == 2) to[1] = result[static_cast<size_t>(k)].imag();
      }
    }
  });
  c.set(0, y.cast(x.type()));
}

/// The transform is linear: its adjoint goes back.
void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  if (flag(c.node(), "inverse") && flag(c.node(), "onesided")) c.fail("the inverse one-sided transform cannot be differentiated");
  std::vector<Attribute> attributes = c.node().attributes;
  int64_t axis = c.node().version >= kAxisInputSince ? -2 : c.node().get<int64_t>("axis", 1);
  if (c.input(2) != kNone) {
    const Tensor* given = c.constant(c.input(2));
    if (!given) c.fail("cannot be differentiated: its axis is not known");
    axis = given->to_int64s().at(0);
  }
  std::erase_if(attributes, [](const Attribute& a) { return a.name == "axis"; });
  attributes.push_back({"axis", axis, {}});
  c.set_grad(0, c.add("DFTGrad", {c.grad_output(), c.input(0), c.input(1)}, attributes));
}

void infer_grad(InferContext& c) {
  c.require_inputs(2, 3);
  Type type = c.type(1);
  if (c.type(0).is_tensor()) type.elem_type = c.elem_type(0);
  c.set(0, std::move(type));
}

/// dx[n] = sum over k of conj(w[k n]) dy[k], of which the real part is that of a real input.
void evaluate_grad(EvaluateContext& c) {
  const Tensor &dy = c.input(0), &x = c.input(1);
  const auto axis = static_cast<size_t>(normalize_axis(c.node().require<int64_t>("axis"), x.rank()));
  const bool inverse = flag(c.node(), "inverse");
  const int64_t present = x.dims()[axis], parts = x.dims().back(), made = dy.dims()[axis];
  const int64_t length = c.has_input(2) ? c.input(2).to_int64s().at(0) : present;
  const Tensor wide = dy.cast(DataType::float64);
  Tensor dx(DataType::float64, x.dims());
  const auto in = wide.data<double>();
  const auto out = dx.mutable_data<double>();
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= x.dims()[i];
  for (size_t i = axis + 1; i + 1 < x.dims().size(); ++i) inner *= x.dims()[i];
  const Turns turns(length, !inverse);
  const double scale = static_cast<double>(inverse ? 1 : length);  // Turns divides where it is the inverse
  for (int64_t row = 0; row < outer * inner; ++row) {
    const int64_t o = row / inner, i = row % inner;
    std::vector<std::complex<double>> grads(static_cast<size_t>(length), 0.0), result(static_cast<size_t>(std::min(present, length)));
    for (int64_t k = 0; k < made; ++k) {
      const double* at = in.data() + ((o * made + k) * inner + i) * 2;
      grads[static_cast<size_t>(k)] = {at[0], at[1]};
    }
    turns.sum(grads, result);
    for (size_t n = 0; n < result.size(); ++n) {
      double* to = out.data() + ((o * present + static_cast<int64_t>(n)) * inner + i) * parts;
      const std::complex<double> sum = result[n] * (inverse ? 1.0 / static_cast<double>(length) : scale);
      to[0] = sum.real();
      if (parts == 2) to[1] = sum.imag();
    }
  }
  c.set(0, dx.cast(dy.type()));
}

}  // namespace

extern const Op dft;
const Op dft = {.name = "DFT", .since = 17, .infer = infer, .evaluate = evaluate, .gradient = gradient, .cost = cost_elementwise};

/// DFTGrad(dy, x, dft_length) {axis, inverse, onesided} -> dx of x's shape: the adjoint of the forward transform.
extern const Op dft_grad;
const Op dft_grad = {.name = "DFTGrad", .domain = kInternalDomain, .infer = infer_grad, .evaluate = evaluate_grad, .shape_only_inputs = 2};

}  // namespace espalier::ops
