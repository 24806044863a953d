#include "lib/ops/recurrent_reference.h"

#include <algorithm>

#include "lib/base/parallel.h"

namespace espalier {
namespace {

Tensor wide(const EvaluateContext& c, size_t i) { return c.has_input(i) ? c.input(i).cast(DataType::float64) : Tensor(); }

const double* from(const Tensor& tensor, int64_t offset) { return tensor.data<double>().data() + offset; }

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// One direction of one batch row on its way through time.
class CellRun {
 public:
  CellRun(const RecurrentData& data, int64_t d, int64_t b)
      : n_(data), d_(d), b_(b), h_(initial_state(data, data.h0, d, b)), c_(initial_state(data, data.c0, d, b)) {}

  CellStep step(int64_t t) {
    CellStep s;
    s.t = t;
    s.before = sums(t);
    s.gate.resize(s.before.size());
    if (n_.form.cell == Cell::lstm) lstm(s);
    else if (n_.form.cell == Cell::gru) gru(s);
    else activate(s, 0, 0);
    if (n_.form.cell == Cell::rnn) h_ = s.gate;
    s.h = h_;
    s.c = c_;
    return s;
  }

 private:
  int64_t hidden() const { return n_.size.hidden; }
  const double* r_row(int64_t row) const { return from(n_.r, (d_ * n_.rows() + row) * hidden()); }
  double bias(int64_t row) const { return n_.b.defined() ? *from(n_.b, d_ * 2 * n_.rows() + row) : 0; }
  double recurrent_bias(int64_t row) const { return bias(n_.rows() + row); }

  /// x W^T + h R^T + both biases; of GRU's hidden gate only x W^T + Wb.
  std::vector<double> sums(int64_t t) const {
    std::vector<double> result(static_cast<size_t>(n_.rows()));
    const double* x = from(n_.x, n_.at_x(t, b_));
    const int64_t whole = n_.form.cell == Cell::gru ? 2 * hidden() : n_.rows();
    for (int64_t row = 0; row < n_.rows(); ++row) {
      result[row] = dot(x, from(n_.w, (d_ * n_.rows() + row) * n_.size.input), n_.size.input) + bias(row);
      if (row < whole) result[row] += dot(h_.data(), r_row(row), hidden()) + recurrent_bias(row);
    }
    return result;
  }

  /// Gate `gate` of the step by function `function` of the direction.
  void activate(CellStep& s, int64_t gate, size_t function) const {
    const GateActivation& f = n_.form.activations[d_][function];
    for (int64_t i = gate * hidden(); i < (gate + 1) * hidden(); ++i) {
      double x = s.before[i];
      if (n_.form.clip) x = std::clamp(x, -*n_.form.clip, *n_.form.clip);
      s.gate[i] = f.value(x);
    }
  }

  void add_peephole(CellStep& s, int64_t gate, int64_t peephole) const {
    if (!n_.p.defined()) return;
    for (int64_t i = 0; i < hidden(); ++i) s.before[gate * hidden() + i] += *from(n_.p, (d_ * 3 + peephole) * hidden() + i) * c_[i];
  }

  /// Gates i, o, f, c; peepholes i, o, f.
  void lstm(CellStep& s) {
    const int64_t n = hidden();
    add_peephole(s, 0, 0);
    activate(s, 0, 0);
    if (n_.form.input_forget) {
      for (int64_t i = 0; i < n; ++i) s.gate[2 * n + i] = 1 - s.gate[i];
    } else {
      add_peephole(s, 2, 2);
      activate(s, 2, 0);
    }
    activate(s, 3, 1);
    for (int64_t i = 0; i < n; ++i) c_[i] = s.gate[2 * n + i] * c_[i] + s.gate[i] * s.gate[3 * n + i];
    add_peephole(s, 1, 1);
    activate(s, 1, 0);
    for (int64_t i = 0; i < n; ++i) h_[i] = s.gate[n + i] * n_.form.activations[d_][2].value(c_[i]);
  }

  /// Gates z, r, h.
  void gru(CellStep& s) {
    const int64_t n = hidden();
    activate(s, 0, 0);
    activate(s, 1, 0);
    s.extra.resize(static_cast<size_t>(n));
    if (n_.form.linear_before_reset) {
      for (int64_t i = 0; i < n; ++i) {
        s.extra[i] = dot(h_.data(), r_row(2 * n + i), n) + recurrent_bias(2 * n + i);
        s.before[2 * n + i] += s.gate[n + i] * s.extra[i];
      }
    } else {
      for (int64_t i = 0; i < n; ++i) s.extra[i] = s.gate[n + i] * h_[i];
      for (int64_t i = 0; i < n; ++i) s.before[2 * n + i] += dot(s.extra.data(), r_row(2 * n + i), n) + recurrent_bias(2 * n + i);
    }
    activate(s, 2, 1);
    for (int64_t i = 0; i < n; ++i) h_[i] = (1 - s.gate[i]) * s.gate[2 * n + i] + s.gate[i] * h_[i];
  }

  const RecurrentData& n_;
  int64_t d_, b_;
  std::vector<double> h_, c_;
};

}  // namespace

RecurrentData::RecurrentData(const EvaluateContext& c)
    : form(recurrent_form(c.node())), x(wide(c, recurrent::X)), w(wide(c, recurrent::W)), r(wide(c, recurrent::R)), b(wide(c, recurrent::B)),
      h0(wide(c, recurrent::initial_h)), c0(wide(c, recurrent::initial_c)), p(wide(c, recurrent::P)) {
  const Dims& dims = x.dims();
  size = {dims[form.batch_first ? 1 : 0], dims[form.batch_first ? 0 : 1], dims[2], r.dims()[2]};
  lengths.assign(static_cast<size_t>(size.batch), size.steps);
  if (!c.has_input(recurrent::sequence_lens)) return;
  lengths = c.input(recurrent::sequence_lens).to_int64s();
  for (const int64_t length : lengths) {
    if (length < 0 || length > size.steps) {
      c.fail("sequence_lens has " + std::to_string(length) + ", expected 0 to " + std::to_string(size.steps));
    }
  }
}

Dims RecurrentData::y_dims() const {
  if (form.batch_first) return {size.batch, size.steps, form.directions, size.hidden};
  return {size.steps, form.directions, size.batch, size.hidden};
}

Dims RecurrentData::state_dims() const {
  if (form.batch_first) return {size.batch, form.directions, size.hidden};
  return {form.directions, size.batch, size.hidden};
}

std::vector<double> initial_state(const RecurrentData& data, const Tensor& state, int64_t d, int64_t b) {
  std::vector<double> result(static_cast<size_t>(data.size.hidden));
  if (state.defined()) std::copy_n(from(state, data.at_state(d, b)), data.size.hidden, result.begin());
  return result;
}

std::vector<CellStep> run_cells(const RecurrentData& data, int64_t d, int64_t b) {
  std::vector<CellStep> steps;
  CellRun run(data, d, b);
  const int64_t length = data.lengths[b];
  for (int64_t k = 0; k < length; ++k) steps.push_back(run.step(data.form.runs_backwards(d) ? length - 1 - k : k));
  return steps;
}

void evaluate_recurrent(EvaluateContext& c) {
  const RecurrentData data(c);
  Tensor y(DataType::float64, data.y_dims());
  std::vector<Tensor> states(data.form.state_count(), Tensor(DataType::float64, data.state_dims()));
  double* to_y = y.mutable_data<double>().data();
  std::vector<double*> to_state;
  for (Tensor& state : states) to_state.push_back(state.mutable_data<double>().data());
  parallel_for(data.form.directions * data.size.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t d = i / data.size.batch, b = i % data.size.batch;
      const auto steps = run_cells(data, d, b);
      for (const CellStep& s : steps) std::copy(s.h.begin(), s.h.end(), to_y + data.at_y(s.t, d, b));
      if (steps.empty()) continue;
      std::copy(steps.back().h.begin(), steps.back().h.end(), to_state[0] + data.at_state(d, b));
      if (to_state.size() > 1) std::copy(steps.back().c.begin(), steps.back().c.end(), to_state[1] + data.at_state(d, b));
    }
  });
  const DataType type = c.input(0).type();
  if (c.has_output(0)) c.set(0, y.cast(type));
  for (size_t i = 0; i < states.size(); ++i) {
    if (c.has_output(i + 1)) c.set(i + 1, states[i].cast(type));
  }
}

}  // namespace espalier
