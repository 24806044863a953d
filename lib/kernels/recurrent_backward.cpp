#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/kernels/recurrent_state.h"
#include "lib/kernels/step_product.h"

namespace espalier {
namespace {

using Cell = RecurrentProblem::Cell;

int64_t padded(int64_t floats) { return (floats + 15) / 16 * 16; }

/// Scratch, in floats: gradients of the gates' sums, the same as R sees them (GRU with linear_before_reset), the
/// states' gradients on their way back, two of X's size where layout 1 is turned.
struct Places {
  explicit Places(const RecurrentProblem& p) {
    const int64_t rows = p.steps * p.batch, state = padded(p.batch * p.hidden);
    gates = take(rows * p.gates() * p.hidden);
    linear = take(p.cell == Cell::gru && p.linear_before_reset ? rows * p.gates() * p.hidden : 0);
    dh = take(state);
    dc = take(state);
    through = take(state);
    x = take(p.batch_first ? rows * p.input : 0);
    dx = take(p.batch_first ? rows * p.input : 0);
  }
  int64_t take(int64_t floats) {
    const int64_t at = total;
    total += padded(floats);
    return at;
  }
  int64_t total = 0, gates, linear, dh, dc, through, x, dx;
};

class RecurrentBackward : public Kernel {
 public:
  RecurrentBackward(const RecurrentProblem& p, const RecurrentWanted& wanted)
      : p_(p), wanted_(wanted), width_(p.gates() * p.hidden), places_(p) {
    const int64_t n = p.hidden, rows = p.steps * p.batch;
    const bool late = resets_state();  // GRU's hidden gate goes through R by itself
    const int64_t first = late ? 2 * n : width_;
    states_.push_back(
        StepProduct({.m = p.batch, .n = n, .k = first, .lda = width_, .ldb = n, .ldc = n, .accumulate = true}));
    if (late) states_.push_back(StepProduct({.m = p.batch, .n = n, .k = n, .lda = width_, .ldb = n, .ldc = n}));
    if (wanted.r) {
      r_products_.push_back(
          StepProduct({.m = first, .n = n, .k = rows, .lda = width_, .ldb = n, .ldc = n, .transpose_a = true}));
      if (late) {
        r_products_.push_back(
            StepProduct({.m = n, .n = n, .k = rows, .lda = width_, .ldb = n, .ldc = n, .transpose_a = true}));
      }
    }
    if (wanted.w) {
      w_products_.push_back(StepProduct(
          {.m = width_, .n = p.input, .k = rows, .lda = width_, .ldb = p.input, .ldc = p.input, .transpose_a = true}));
    }
    for (int64_t d = 0; wanted.x && d < p.directions; ++d) {
      x_products_.push_back(StepProduct(
          {.m = rows, .n = p.input, .k = width_, .lda = width_, .ldb = p.input, .ldc = p.input, .accumulate = d > 0}));
    }
  }

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    const auto take = [&](bool present) { return present ? static_cast<float*>(args[next++]) : nullptr; };
    x_ = take(true);
    w_ = take(true);
    r_ = take(true);
    dy_ = take(p_.y);
    dy_h_ = take(p_.y_h);
    dy_c_ = take(p_.y_c);
    state_ = take(true);
    dx_ = take(wanted_.x);
    dw_ = take(wanted_.w);
    dr_ = take(wanted_.r);
    db_ = take(wanted_.b);
    dh0_ = take(wanted_.initial_h);
    dc0_ = take(wanted_.initial_c);
    scratch_ = take(true);
  }

  void run() override {
    const float* x = x_;
    if (p_.batch_first && wanted_.w) swap_axes(x_, at(places_.x), p_.batch, p_.steps, p_.input);
    if (p_.batch_first) x = at(places_.x);
    float* dx = p_.batch_first ? at(places_.dx) : dx_;
    for (int64_t d = 0; d < p_.directions; ++d) {
      const RecurrentState s(p_, d, state_);
      load(dy_h_, d, at(places_.dh));
      load(dy_c_, d, at(places_.dc));
      for (int64_t k = p_.steps; k-- > 0;) step(s, d, s.step(k));
      store(at(places_.dh), d, dh0_);
      store(at(places_.dc), d, dc0_);
      weights(s, d, x);
      if (wanted_.x) x_products_[static_cast<size_t>(d)].run(at(places_.gates), w_ + d * width_ * p_.input, dx);
    }
    if (wanted_.x && p_.batch_first) swap_axes(dx, dx_, p_.steps, p_.batch, p_.input);
  }

 private:
  bool linear() const { return p_.cell == Cell::gru && p_.linear_before_reset; }
  bool resets_state() const { return p_.cell == Cell::gru && !p_.linear_before_reset; }
  float* at(int64_t place) const { return scratch_ + place; }
  float* dgates(int64_t t) const { return at(places_.gates) + t * p_.batch * width_; }
  float* dlinear(int64_t t) const { return at(places_.linear) + t * p_.batch * width_; }
  float* dstate(int64_t place, int64_t b) const { return at(place) + b * p_.hidden; }

  int64_t state_at(int64_t d, int64_t b) const {
    return (p_.batch_first ? b * p_.directions + d : d * p_.batch + b) * p_.hidden;
  }

  void load(const float* from, int64_t d, float* to) const {
    if (!from) return static_cast<void>(std::fill_n(to, p_.batch * p_.hidden, 0.0f));
    for (int64_t b = 0; b < p_.batch; ++b) std::copy_n(from + state_at(d, b), p_.hidden, to + b * p_.hidden);
  }

  void store(const float* from, int64_t d, float* to) const {
    for (int64_t b = 0; to && b < p_.batch; ++b) std::copy_n(from + b * p_.hidden, p_.hidden, to + state_at(d, b));
  }

  template <class F>
  void for_rows(F f) const {
    parallel_for(p_.batch, row_grain(width_), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) f(b);
    });
  }

  /// From the state after step t to the state before it; the gradients of the gates' sums stay.
  void step(const RecurrentState& s, int64_t d, int64_t t) const {
    const auto& f = p_.functions[static_cast<size_t>(d)];
    const float* r = r_ + d * width_ * p_.hidden;
    for_rows([&](int64_t b) {
      float* dh = dstate(places_.dh, b);
      if (dy_) {
        const int64_t y =
            p_.batch_first ? (b * p_.steps + t) * p_.directions + d : (t * p_.directions + d) * p_.batch + b;
        recurrent_loops().add(dy_ + y * p_.hidden, dh, p_.hidden);
      }
      if (p_.cell == Cell::lstm) lstm(s, t, b, f);
      else if (p_.cell == Cell::gru) gru(s, t, b, f);
      else rnn(s, t, b, f);
    });
    if (resets_state()) {
      states_[1].run(dgates(t) + 2 * p_.hidden, r + 2 * p_.hidden * p_.hidden, at(places_.through));
      for_rows([&](int64_t b) { gru_reset(s, t, b, f); });
    }
    states_[0].run(linear() ? dlinear(t) : dgates(t), r, at(places_.dh));
  }

  void lstm(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    const float *gates = s.gates(t) + b * width_, *squashed = s.squashed(t) + b * n;
    float *dg = dgates(t) + b * width_, *through = dstate(places_.through, b), *dh = dstate(places_.dh, b);
    recurrent_loops().lstm_output_grad(gates, squashed, dh, dg, through, n);
    through_activation(f[2], squashed, through, n);
    recurrent_loops().lstm_cell_grad(gates, s.c_before(t) + b * n, through, dstate(places_.dc, b), dg, n);
    through_activation(f[0], gates, dg, 3 * n);
    through_activation(f[1], gates + 3 * n, dg + 3 * n, n);
    std::fill_n(dh, n, 0.0f);
  }

  void gru(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    const float* gates = s.gates(t) + b * width_;
    float* dg = dgates(t) + b * width_;
    recurrent_loops().gru_state_grad(gates, s.h_before(t) + b * n, dstate(places_.dh, b), dg, n);
    through_activation(f[1], gates + 2 * n, dg + 2 * n, n);
    if (!linear()) return;
    float* dl = dlinear(t) + b * width_;
    recurrent_loops().multiply(dg + 2 * n, s.linear(t) + b * width_ + 2 * n, dg + n, n);
    recurrent_loops().multiply(dg + 2 * n, gates + n, dl + 2 * n, n);
    through_activation(f[0], gates, dg, 2 * n);
    std::copy_n(dg, 2 * n, dl);
  }

  /// `through`: the gradient of r * h before.
  void gru_reset(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    const float *gates = s.gates(t) + b * width_, *through = dstate(places_.through, b);
    float* dg = dgates(t) + b * width_;
    recurrent_loops().multiply(through, s.h_before(t) + b * n, dg + n, n);
    recurrent_loops().multiply_add(through, gates + n, dstate(places_.dh, b), n);
    through_activation(f[0], gates, dg, 2 * n);
  }

  void rnn(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    float *dg = dgates(t) + b * n, *dh = dstate(places_.dh, b);
    std::copy_n(dh, n, dg);
    through_activation(f[0], s.gates(t) + b * n, dg, n);
    std::fill_n(dh, n, 0.0f);
  }

  void weights(const RecurrentState& s, int64_t d, const float* x) const {
    const int64_t n = p_.hidden;
    if (wanted_.w) w_products_[0].run(at(places_.gates), x, dw_ + d * width_ * p_.input);
    if (wanted_.r) {
      float* dr = dr_ + d * width_ * n;
      // States before all steps are one matrix; slot 0 or 1 is where it starts.
      const float* before = std::min(s.h_before(0), s.h_before(p_.steps - 1));
      r_products_[0].run(linear() ? at(places_.linear) : at(places_.gates), before, dr);
      if (resets_state()) r_products_[1].run(at(places_.gates) + 2 * n, s.reset(0), dr + 2 * n * n);
    }
    if (wanted_.b) {
      sum_rows(at(places_.gates), db_ + d * 2 * width_);
      sum_rows(linear() ? at(places_.linear) : at(places_.gates), db_ + (d * 2 + 1) * width_);
    }
  }

  void sum_rows(const float* grads, float* to) const {
    constexpr int64_t kColumns = 64;
    parallel_for(width_, kColumns, [&](int64_t begin, int64_t end) {
      for (int64_t first = begin; first < end; first += kColumns) {
        const int64_t n = std::min(kColumns, end - first);
        double sums[kColumns] = {};
        recurrent_loops().column_sums(grads + first, p_.steps * p_.batch, width_, sums, n);
        for (int64_t i = 0; i < n; ++i) to[first + i] = static_cast<float>(sums[i]);
      }
    });
  }

  RecurrentProblem p_;
  RecurrentWanted wanted_;
  int64_t width_;
  Places places_;
  std::vector<StepProduct> states_, r_products_, w_products_, x_products_;
  float *x_ = nullptr, *w_ = nullptr, *r_ = nullptr, *dy_ = nullptr, *dy_h_ = nullptr, *dy_c_ = nullptr,
        *state_ = nullptr, *dx_ = nullptr, *dw_ = nullptr, *dr_ = nullptr, *db_ = nullptr, *dh0_ = nullptr,
        *dc0_ = nullptr, *scratch_ = nullptr;
};

}  // namespace

size_t recurrent_backward_scratch(const RecurrentProblem& p) {
  return static_cast<size_t>(Places(p).total) * sizeof(float);
}

std::unique_ptr<Kernel> recurrent_backward(const RecurrentProblem& p, const RecurrentWanted& wanted) {
  return std::make_unique<RecurrentBackward>(p, wanted);
}

}  // namespace espalier
