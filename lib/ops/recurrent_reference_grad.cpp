#include <cmath>

#include "lib/ops/recurrent_reference.h"

namespace espalier {
namespace {

const double* from(const Tensor& tensor, int64_t offset) { return tensor.data<double>().data() + offset; }

/// Backpropagation through time, row by row, summing into the weights' gradients.
class CellGradient {
 public:
  CellGradient(EvaluateContext& c, const RecurrentData& data) : c_(c), n_(data) {
    for (size_t i = 0; i < recurrent::kInputs; ++i) {
      if (!c.has_input(i) || i == recurrent::sequence_lens) continue;
      grads_[i] = Tensor(DataType::float64, c.input(i).dims());
      to_[i] = grads_[i].mutable_data<double>().data();
    }
    for (size_t i = 0; i < 3; ++i) {
      if (c.has_input(recurrent::dY + i)) given_[i] = c.input(recurrent::dY + i).cast(DataType::float64);
    }
  }

  void run() {
    for (d_ = 0; d_ < n_.form.directions; ++d_) {
      for (b_ = 0; b_ < n_.size.batch; ++b_) run_row();
    }
    for (size_t i = 0; i < c_.output_count(); ++i) {
      if (!c_.has_output(i)) continue;
      c_.set(i, grads_[i].defined() ? grads_[i].cast(c_.input(0).type()) : Tensor(c_.input(0).type(), {0}));
    }
  }

 private:
  using Row = std::vector<double>;
  int64_t hidden() const { return n_.size.hidden; }
  const GateActivation& function(size_t i) const { return n_.form.activations[d_][i]; }
  const double* r_row(int64_t row) const { return from(n_.r, (d_ * n_.rows() + row) * hidden()); }

  void run_row() {
    const auto steps = run_cells(n_, d_, b_);
    if (steps.empty()) return;
    dh_ = Row(hidden());
    dc_ = Row(hidden());
    for (int64_t i = 0; i < hidden(); ++i) {
      if (given_[1].defined()) dh_[i] = *from(given_[1], n_.at_state(d_, b_) + i);
      if (given_[2].defined()) dc_[i] = *from(given_[2], n_.at_state(d_, b_) + i);
    }
    const Row h0 = initial_state(n_, n_.h0, d_, b_), c0 = initial_state(n_, n_.c0, d_, b_);
    for (size_t k = steps.size(); k-- > 0;) {
      const CellStep& s = steps[k];
      for (int64_t i = 0; given_[0].defined() && i < hidden(); ++i) dh_[i] += *from(given_[0], n_.at_y(s.t, d_, b_) + i);
      const Row& h = k ? steps[k - 1].h : h0;
      const Row da = n_.form.cell == Cell::lstm ? lstm(s, k ? steps[k - 1].c : c0) : n_.form.cell == Cell::gru ? gru(s, h) : rnn(s);
      through_sums(s, h, da);
    }
    for (int64_t i = 0; i < hidden(); ++i) {
      if (to_[recurrent::initial_h]) to_[recurrent::initial_h][n_.at_state(d_, b_) + i] = dh_[i];
      if (to_[recurrent::initial_c]) to_[recurrent::initial_c][n_.at_state(d_, b_) + i] = dc_[i];
    }
  }

  /// The derivative of an activated gate by its sum.
  double slope(const CellStep& s, int64_t i, size_t f) const {
    const double x = s.before[i];
    if (n_.form.clip && std::abs(x) >= *n_.form.clip) return 0;
    return function(f).slope(x);
  }

  double peephole(int64_t p, int64_t i) const { return n_.p.defined() ? *from(n_.p, (d_ * 3 + p) * hidden() + i) : 0; }
  void add_peephole(int64_t p, int64_t i, double grad) {
    if (to_[recurrent::P]) to_[recurrent::P][(d_ * 3 + p) * hidden() + i] += grad;
  }

  /// Gradients of the sums of the gates i, o, f, c; dc_ becomes that of the cell before.
  Row lstm(const CellStep& s, const Row& c_before) {
    const int64_t n = hidden();
    Row da(4 * n);
    for (int64_t j = 0; j < n; ++j) {
      const double i = s.gate[j], o = s.gate[n + j], f = s.gate[2 * n + j], g = s.gate[3 * n + j];
      da[n + j] = dh_[j] * function(2).value(s.c[j]) * slope(s, n + j, 0);
      double dc = dc_[j] + dh_[j] * o * function(2).slope(s.c[j]) + da[n + j] * peephole(1, j);
      double di = dc * g;
      if (n_.form.input_forget) di -= dc * c_before[j];
      else da[2 * n + j] = dc * c_before[j] * slope(s, 2 * n + j, 0);
      da[j] = di * slope(s, j, 0);
      da[3 * n + j] = dc * i * slope(s, 3 * n + j, 1);
      dc_[j] = dc * f + da[j] * peephole(0, j) + da[2 * n + j] * peephole(2, j);
      add_peephole(0, j, da[j] * c_before[j]);
      add_peephole(1, j, da[n + j] * s.c[j]);
      add_peephole(2, j, da[2 * n + j] * c_before[j]);
    }
    dh_ = Row(n);
    return da;
  }

  /// Gradients of the sums of the gates z, r, h; dh_ keeps what passes beside them.
  Row gru(const CellStep& s, const Row& h) {
    const int64_t n = hidden();
    Row da(3 * n), reset(n);  // reset: gradient of the reset gate
    for (int64_t j = 0; j < n; ++j) {
      const double z = s.gate[j];
      da[j] = dh_[j] * (h[j] - s.gate[2 * n + j]) * slope(s, j, 0);
      da[2 * n + j] = dh_[j] * (1 - z) * slope(s, 2 * n + j, 1);
      dh_[j] *= z;
      if (n_.form.linear_before_reset) reset[j] = da[2 * n + j] * s.extra[j];
    }
    if (!n_.form.linear_before_reset) {
      for (int64_t k = 0; k < n; ++k) {
        double through = 0;
        for (int64_t j = 0; j < n; ++j) through += da[2 * n + j] * r_row(2 * n + j)[k];
        reset[k] = through * h[k];
        dh_[k] += through * s.gate[n + k];
      }
    }
    for (int64_t j = 0; j < n; ++j) da[n + j] = reset[j] * slope(s, n + j, 0);
    return da;
  }

  Row rnn(const CellStep& s) {
    Row da(hidden());
    for (int64_t j = 0; j < hidden(); ++j) da[j] = dh_[j] * slope(s, j, 0);
    dh_ = Row(hidden());
    return da;
  }

  /// From the sums of the gates to x, W, R, B and the state before. GRU's hidden gate meets R after or before the reset.
  void through_sums(const CellStep& s, const Row& h, const Row& da) {
    const int64_t n = hidden(), rows = n_.rows(), inputs = n_.size.input;
    const double* x = from(n_.x, n_.at_x(s.t, b_));
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = d_ * rows + row;
      for (int64_t k = 0; k < inputs; ++k) {
        to_[recurrent::W][at * inputs + k] += da[row] * x[k];
        to_[recurrent::X][n_.at_x(s.t, b_) + k] += da[row] * *from(n_.w, at * inputs + k);
      }
      const bool hidden_gate = n_.form.cell == Cell::gru && row >= 2 * n;
      const bool linear = n_.form.linear_before_reset;
      const double dr = hidden_gate && linear ? da[row] * s.gate[row - n] : da[row];
      const Row& state = hidden_gate && !linear ? s.extra : h;
      for (int64_t k = 0; k < n; ++k) {
        to_[recurrent::R][at * n + k] += dr * state[k];
        if (!hidden_gate || linear) dh_[k] += dr * r_row(row)[k];
      }
      if (!to_[recurrent::B]) continue;
      to_[recurrent::B][d_ * 2 * rows + row] += da[row];
      to_[recurrent::B][d_ * 2 * rows + rows + row] += dr;
    }
  }

  EvaluateContext& c_;
  const RecurrentData& n_;
  Tensor grads_[recurrent::kInputs], given_[3];
  double* to_[recurrent::kInputs] = {};
  int64_t d_ = 0, b_ = 0;
  Row dh_, dc_;
};

}  // namespace

void evaluate_recurrent_grad(EvaluateContext& c) {
  const RecurrentData data(c);
  CellGradient(c, data).run();
}

}  // namespace espalier
