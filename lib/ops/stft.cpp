// STFT: transforms of windowed pieces of a signal.

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/fourier.h"
#include "lib/ops/gradient.h"

namespace espalier::ops {
namespace {

std::optional<int64_t> known_number(const InferContext& c, size_t i) {
  const auto given = c.integers(i);
  return given && given->size() == 1 ? std::optional(given->front()) : std::nullopt;
}

/// signal: [N, L, 1 or 2]; frame_step; window: [frame_length]; frame_length. y: [N, frames, bins, 2].
void infer(InferContext& c) {
  c.require_inputs(2, 4);
  require_type(c, 0, is_float, "a float type");
  require_same_type(c, 0, 2);
  c.require_rank(0, 2, 3);
  c.require_rank(2, 1, 1);
  if (!c.has_input(2) && !c.has_input(3)) c.fail("has neither a window nor a frame_length");
  const bool onesided = c.node().get<int64_t>("onesided", 1) != 0;
  SymbolicDims dims(4);
  dims[3] = 2;
  std::optional<int64_t> length = known_number(c, 3);
  if (c.has_rank(2) && c.dims(2)[0].known()) {
    const int64_t window = c.dims(2)[0].value();
    if (length && *length != window) c.fail("window has " + std::to_string(window) + " elements, but frame_length is " + std::to_string(*length));
    length = window;
  }
  if (length && *length < 1) c.fail("frame_length is " + std::to_string(*length) + ", expected at least 1");
  if (length) dims[2] = onesided ? *length / 2 + 1 : *length;
  const auto step = known_number(c, 1);
  if (step && *step < 1) c.fail("frame_step is " + std::to_string(*step) + ", expected at least 1");
  if (c.has_rank(0)) {
    dims[0] = c.dims(0)[0];
    const Dim size = c.dims(0)[1], parts = c.rank(0) == 3 ? c.dims(0)[2] : Dim(1);
    if (parts.known() && parts.value() != 1 && parts.value() != 2) c.fail("last axis of the signal has size " + parts.str() + ", expected 1 (real) or 2 (complex)");
    if (onesided && parts.is(2)) c.fail("a one-sided transform needs a real signal");
    if (size.known() && length && step) {
      if (size.value() < *length) c.fail("signal has " + size.str() + " samples, fewer than a frame of " + std::to_string(*length));
      dims[1] = 1 + (size.value() - *length) / *step;
    }
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Frames of a signal: where they lie and how they are weighted.
struct Frames {
  int64_t batch, size, parts, length, step, count, bins;
  std::vector<double> window;
};

Frames frames_of(const EvaluateContext& c, const Tensor& signal, const Tensor* step, const Tensor* window, const Tensor* length) {
  Frames f{};
  f.batch = signal.dims()[0];
  f.size = signal.dims()[1];
  f.parts = signal.rank() == 3 ? signal.dims()[2] : 1;
  f.step = step->to_int64s().at(0);
  f.length = window ? window->size() : length->to_int64s().at(0);
  if (f.step < 1 || f.length < 1 || f.length > f.size) c.fail("frame_step and frame_length do not fit a signal of " + std::to_string(f.size) + " samples");
  f.count = 1 + (f.size - f.length) / f.step;
  f.bins = c.node().get<int64_t>("onesided", 1) != 0 ? f.length / 2 + 1 : f.length;
  f.window = window ? window->to_doubles() : std::vector<double>(static_cast<size_t>(f.length), 1.0);
  return f;
}

const Tensor* optional_input(const EvaluateContext& c, size_t i) { return c.has_input(i) ? &c.input(i) : nullptr; }

void evaluate(EvaluateContext& c) {
  const Tensor& signal = c.input(0);
  const Frames f = frames_of(c, signal, &c.input(1), optional_input(c, 2), optional_input(c, 3));
  const Tensor wide = signal.cast(DataType::float64);
  Tensor y(DataType::float64, {f.batch, f.count, f.bins, 2});
  const auto in = wide.data<double>();
  const auto out = y.mutable_data<double>();
  const Turns turns(f.length, false);
  parallel_for(f.batch * f.count, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::complex<double>> piece(static_cast<size_t>(f.length)), bins(static_cast<size_t>(f.bins));
    for (int64_t i = begin; i < end; ++i) {
      const double* from = in.data() + (i / f.count * f.size + i % f.count * f.step) * f.parts;
      for (int64_t n = 0; n < f.length; ++n) {
        const double weight = f.window[static_cast<size_t>(n)];
        piece[static_cast<size_t>(n)] = {weight * from[n * f.parts], f.parts == 2 ? weight * from[n * f.parts + 1] : 0.0};
      }
      turns.sum(piece, bins);
      for (int64_t k = 0; k < f.bins; ++k) {
        out[(i * f.bins + k) * 2] = bins[static_cast<size_t>(k)].real();
        out[(i * f.bins + k) * 2 + 1] = bins[static_cast<size_t>(k)].imag();
      }
    }
  });
  c.set(0, y.cast(signal.type()));
}

/// Linear in the signal: the adjoint goes back.
void gradient(GradientContext& c) {
  if (c.wants(2)) c.fail("cannot be differentiated by its window");
  if (c.wants(0)) c.set_grad(0, c.add("STFTGrad", {c.grad_output(), c.input(0), c.input(1), c.input(2), c.input(3)}, c.node().attributes));
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 5);
  Type type = c.type(1);
  if (c.type(0).is_tensor()) type.elem_type = c.elem_type(0);
  c.set(0, std::move(type));
}

/// Each frame's gradient, transformed back, weighted by the window and added where the frame was taken.
void evaluate_grad(EvaluateContext& c) {
  const Tensor &dy = c.input(0), &signal = c.input(1);
  const Frames f = frames_of(c, signal, &c.input(2), optional_input(c, 3), optional_input(c, 4));
  const Tensor wide = dy.cast(DataType::float64);
  Tensor dx(DataType::float64, signal.dims());
  const auto in = wide.data<double>();
  const auto out = dx.mutable_data<double>();
  const Turns turns(f.length, true);
  parallel_for(f.batch, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::complex<double>> grads(static_cast<size_t>(f.length)), piece(static_cast<size_t>(f.length));
    for (int64_t i = begin * f.count; i < end * f.count; ++i) {
      std::fill(grads.begin(), grads.end(), 0.0);
      for (int64_t k = 0; k < f.bins; ++k) grads[static_cast<size_t>(k)] = {in[(i * f.bins + k) * 2], in[(i * f.bins + k) * 2 + 1]};
      turns.sum(grads, piece);
      double* to = out.data() + (i / f.count * f.size + i % f.count * f.step) * f.parts;
      for (int64_t n = 0; n < f.length; ++n) {
        const double weight = f.window[static_cast<size_t>(n)] * static_cast<double>(f.length);
        to[n * f.parts] += weight * piece[static_cast<size_t>(n)].real();
        if (f.parts == 2) to[n * f.parts + 1] += weight * piece[static_cast<size_t>(n)].imag();
      }
    }
  });
  c.set(0, dx.cast(dy.type()));
}

}  // namespace

extern const Op stft;
const Op stft = {.name = "STFT", .since = 17, .infer = infer, .evaluate = evaluate, .gradient = gradient, .cost = cost_elementwise};

/// STFTGrad(dy, signal, frame_step, window, frame_length) {onesided} -> dx of the signal's shape: the adjoint of STFT.
extern const Op stft_grad;
const Op stft_grad = {.name = "STFTGrad", .domain = kInternalDomain, .infer = infer_grad, .evaluate = evaluate_grad, .shape_only_inputs = 2};

}  // namespace espalier::ops
