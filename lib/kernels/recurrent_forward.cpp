#include <algorithm>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/kernels/recurrent_state.h"
#include "lib/kernels/step_product.h"

namespace espalier {
namespace {

using Cell = RecurrentProblem::Cell;

int64_t padded(int64_t floats) { return (floats + 15) / 16 * 16; }

class RecurrentForward : public Kernel {
 public:
  explicit RecurrentForward(const RecurrentProblem& p)
      : p_(p),
        width_(p.gates() * p.hidden),
        packed_(!StepProduct::has_few_rows(p.batch)),
        apart_(rows_are_apart(p)),
        inputs_({.m = p.steps * p.batch,
                 .n = width_,
                 .k = p.input,
                 .lda = p.input,
                 .ldb = p.input,
                 .ldc = width_,
                 .transpose_b = true,
                 .accumulate = true}),
        first_(step_product(first_width())) {
    if (p.cell == Cell::gru && !p.linear_before_reset) second_.push_back(step_product(p.hidden));
  }

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    const auto take = [&](bool present) { return present ? static_cast<float*>(args[next++]) : nullptr; };
    x_ = take(true);
    w_ = take(true);
    r_ = take(true);
    b_ = take(p_.bias);
    h0_ = take(p_.initial_h);
    c0_ = take(p_.initial_c);
    y_ = take(p_.y);
    y_h_ = take(p_.y_h);
    y_c_ = take(p_.y_c);
    state_ = take(true);
    turned_ = take(true);
    packed_r_ = turned_ + (p_.batch_first ? padded(p_.steps * p_.batch * p_.input) : 0);
  }

  void run() override {
    const float* x = x_;
    if (p_.batch_first) swap_axes(x_, turned_, p_.batch, p_.steps, p_.input);
    if (p_.batch_first) x = turned_;
    for (int64_t d = 0; d < p_.directions; ++d) {
      const RecurrentState s(p_, d, state_);
      fill_biases(s, d);
      inputs_.run(x, w_ + d * width_ * p_.input, s.gates(0));
      load_state(h0_, d, s.h_slot(s.first_slot()));
      if (p_.cell == Cell::lstm) load_state(c0_, d, s.c_slot(s.first_slot()));
      if (packed_) pack(d);
      for (int64_t k = 0; k < p_.steps && !apart_; ++k) step(s, d, s.step(k));
    }
    if (apart_) run_rows_apart();
    for (int64_t d = 0; d < p_.directions; ++d) store(RecurrentState(p_, d, state_), d);
  }

 private:
  /// Whether each thread takes rows of the batch (and directions) through all steps by itself, without waiting for the others
  /// at each of them: where R stays in a core's cache, and there is a row for each thread.
  static bool rows_are_apart(const RecurrentProblem& p) {
    constexpr int64_t kCached = 1 << 18, kCheap = 1 << 15;
    const int64_t row = p.gates() * p.hidden * p.hidden;
    return row <= kCached && (p.batch * p.directions >= thread_count() || row <= kCheap);
  }

  void run_rows_apart() {
    parallel_for(p_.directions * p_.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin / p_.batch; d * p_.batch < end; ++d) {
        const int64_t first = std::max(begin - d * p_.batch, int64_t{0}), last = std::min(end - d * p_.batch, p_.batch);
        const RecurrentState s(p_, d, state_);
        for (int64_t k = 0; k < p_.steps; ++k) step_of_rows(s, d, s.step(k), first, last);
      }
    });
  }

  void step_of_rows(const RecurrentState& s, int64_t d, int64_t t, int64_t first, int64_t last) const {
    const int64_t n = p_.hidden;
    const auto& f = p_.functions[static_cast<size_t>(d)];
    add_product(s.h_before(t), d, 0, first_width(), separate() ? s.linear(t) : s.gates(t), first, last);
    if (second_.empty()) {
      for (int64_t b = first; b < last; ++b) gates_of(s, t, b, f);
      return;
    }
    for (int64_t b = first; b < last; ++b) gru_reset(s, t, b, f);
    add_product(s.reset(t), d, 2 * n, n, s.gates(t) + 2 * n, first, last);
    for (int64_t b = first; b < last; ++b) gru_end(s, t, b, f);
  }

  /// Rows first .. last of [B, H] times rows of R from `row` on, added to `to`.
  void add_product(const float* states, int64_t d, int64_t row, int64_t columns, float* to, int64_t first, int64_t last) const {
    const int64_t n = p_.hidden;
    const float* r = r_rows(d, row);
    if (packed_) return recurrent_loops().add_products(states + first * n, n, r, width_, n, to + first * width_, width_, last - first, columns);
    for (int64_t b = first; b < last; ++b) recurrent_loops().dot_rows(states + b * n, r, n, n, to + b * width_, columns);
  }

  /// The product with R is kept apart from the gates: the reset gate scales it.
  bool separate() const { return p_.cell == Cell::gru && p_.linear_before_reset; }
  int64_t first_width() const { return p_.cell == Cell::gru && !p_.linear_before_reset ? 2 * p_.hidden : width_; }

  /// h [B, H] times rows of R; a library call reads R transposed, [H, gates H].
  StepProduct step_product(int64_t columns) const {
    const int64_t n = p_.hidden;
    return StepProduct({.m = p_.batch,
                        .n = columns,
                        .k = n,
                        .lda = n,
                        .ldb = packed_ ? width_ : n,
                        .ldc = width_,
                        .transpose_b = !packed_,
                        .accumulate = true});
  }

  /// Rows of R from `row` on, as the step products read them.
  const float* r_rows(int64_t d, int64_t row) const {
    const float* const r = (packed_ ? packed_r_ : r_) + d * width_ * p_.hidden;
    return packed_ ? r + row : r + row * p_.hidden;
  }

  void pack(int64_t d) {
    constexpr int64_t kBlock = 16;
    const float* const r = r_ + d * width_ * p_.hidden;
    float* const packed = packed_r_ + d * width_ * p_.hidden;
    parallel_for(width_, 64, [&](int64_t begin, int64_t end) {
      for (int64_t first = begin; first < end; first += kBlock) {
        const int64_t last = std::min(end, first + kBlock);
        for (int64_t k = 0; k < p_.hidden; ++k) {
          for (int64_t row = first; row < last; ++row) packed[k * width_ + row] = r[row * p_.hidden + k];
        }
      }
    });
  }

  /// Every gate starts as its biases, for products that add to it: Wb + Rb, but for what stays apart.
  void fill_biases(const RecurrentState& s, int64_t d) {
    const float* b = b_ ? b_ + d * 2 * width_ : nullptr;
    const int64_t together = separate() ? 2 * p_.hidden : width_;
    parallel_for(s.rows(), row_grain(width_), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* gates = s.gates(0) + row * width_;
        if (b) std::copy_n(b, width_, gates);
        else std::fill_n(gates, width_, 0.0f);
        if (b) recurrent_loops().add(b + width_, gates, together);
        if (!separate()) continue;
        float* linear = s.linear(0) + row * width_;
        std::fill_n(linear, width_, 0.0f);
        if (b) std::copy_n(b + width_ + together, p_.hidden, linear + together);
      }
    });
  }

  float* state_row(float* state, int64_t d, int64_t b) const {
    return state + (p_.batch_first ? b * p_.directions + d : d * p_.batch + b) * p_.hidden;
  }

  void load_state(float* from, int64_t d, float* slot) const {
    if (!from) return static_cast<void>(std::fill_n(slot, p_.batch * p_.hidden, 0.0f));
    for (int64_t b = 0; b < p_.batch; ++b) std::copy_n(state_row(from, d, b), p_.hidden, slot + b * p_.hidden);
  }

  void step(const RecurrentState& s, int64_t d, int64_t t) {
    float* product = separate() ? s.linear(t) : s.gates(t);
    first_.run(s.h_before(t), r_rows(d, 0), product);
    const auto& f = p_.functions[static_cast<size_t>(d)];
    if (second_.empty()) return for_rows([&](int64_t b) { gates_of(s, t, b, f); });
    for_rows([&](int64_t b) { gru_reset(s, t, b, f); });
    second_[0].run(s.reset(t), r_rows(d, 2 * p_.hidden), s.gates(t) + 2 * p_.hidden);
    for_rows([&](int64_t b) { gru_end(s, t, b, f); });
  }

  /// What is left of a step behind its one product.
  void gates_of(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    if (p_.cell == Cell::lstm) lstm(s, t, b, f);
    else if (p_.cell == Cell::gru) gru_linear(s, t, b, f);
    else rnn(s, t, b, f);
  }

  template <class F>
  void for_rows(F f) const {
    parallel_for(p_.batch, row_grain(width_), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) f(b);
    });
  }

  void lstm(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    float* gates = s.gates(t) + b * width_;
    float *cell = s.c_after(t) + b * n, *squashed = s.squashed(t) + b * n;
    activate(f[0], gates, gates, 3 * n);
    activate(f[1], gates + 3 * n, gates + 3 * n, n);
    recurrent_loops().lstm_cell(gates, s.c_before(t) + b * n, cell, n);
    activate(f[2], cell, squashed, n);
    recurrent_loops().multiply(gates + n, squashed, s.h_after(t) + b * n, n);
  }

  void gru_linear(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    float *gates = s.gates(t) + b * width_, *linear = s.linear(t) + b * width_;
    recurrent_loops().add(linear, gates, 2 * n);
    activate(f[0], gates, gates, 2 * n);
    recurrent_loops().multiply_add(gates + n, linear + 2 * n, gates + 2 * n, n);
    gru_end(s, t, b, f);
  }

  void gru_reset(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    float* gates = s.gates(t) + b * width_;
    activate(f[0], gates, gates, 2 * n);
    recurrent_loops().multiply(gates + n, s.h_before(t) + b * n, s.reset(t) + b * n, n);
  }

  void gru_end(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    const int64_t n = p_.hidden;
    float* gates = s.gates(t) + b * width_;
    activate(f[1], gates + 2 * n, gates + 2 * n, n);
    recurrent_loops().gru_state(gates, s.h_before(t) + b * n, s.h_after(t) + b * n, n);
  }

  void rnn(const RecurrentState& s, int64_t t, int64_t b, const std::vector<ElementOp>& f) const {
    float* gates = s.gates(t) + b * width_;
    activate(f[0], gates, gates, p_.hidden);
    std::copy_n(gates, p_.hidden, s.h_after(t) + b * p_.hidden);
  }

  void store(const RecurrentState& s, int64_t d) const {
    const int64_t n = p_.hidden;
    if (y_) {
      parallel_for(s.rows(), row_grain(n), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t t = row / p_.batch, b = row % p_.batch;
          const int64_t to =
              p_.batch_first ? (b * p_.steps + t) * p_.directions + d : (t * p_.directions + d) * p_.batch + b;
          std::copy_n(s.h_after(t) + b * n, n, y_ + to * n);
        }
      });
    }
    for (int64_t b = 0; b < p_.batch; ++b) {
      if (y_h_) std::copy_n(s.h_slot(s.last_slot()) + b * n, n, state_row(y_h_, d, b));
      if (y_c_) std::copy_n(s.c_slot(s.last_slot()) + b * n, n, state_row(y_c_, d, b));
    }
  }

  RecurrentProblem p_;
  int64_t width_;
  bool packed_, apart_;
  StepProduct inputs_, first_;
  std::vector<StepProduct> second_;
  float *x_ = nullptr, *w_ = nullptr, *r_ = nullptr, *b_ = nullptr, *h0_ = nullptr, *c0_ = nullptr, *y_ = nullptr,
        *y_h_ = nullptr, *y_c_ = nullptr, *state_ = nullptr, *turned_ = nullptr, *packed_r_ = nullptr;
};

}  // namespace

size_t recurrent_forward_scratch(const RecurrentProblem& p) {
  const int64_t turned = p.batch_first ? padded(p.steps * p.batch * p.input) : 0;
  return static_cast<size_t>(turned + padded(p.directions * p.gates() * p.hidden * p.hidden)) * sizeof(float);
}

std::unique_ptr<Kernel> recurrent_forward(const RecurrentProblem& p) { return std::make_unique<RecurrentForward>(p); }

}  // namespace espalier
