#pragma once

#include <vector>

#include "lib/ops/evaluate.h"
#include "lib/ops/recurrent.h"

namespace espalier {

/// A recurrent node's operands in double, with where things lie in them.
class RecurrentData {
 public:
  explicit RecurrentData(const EvaluateContext& context);

  RecurrentForm form;
  RecurrentSizes size;
  Tensor x, w, r, b, h0, c0, p;  ///< undefined where omitted
  std::vector<int64_t> lengths;  ///< by batch row

  int64_t rows() const { return form.gates() * size.hidden; }  ///< of W and R, of one direction
  // Offsets of what one step, direction and batch row reads or writes.
  int64_t at_x(int64_t t, int64_t b_) const { return (form.batch_first ? b_ * size.steps + t : t * size.batch + b_) * size.input; }
  int64_t at_state(int64_t d, int64_t b_) const {
    return (form.batch_first ? b_ * form.directions + d : d * size.batch + b_) * size.hidden;
  }
  int64_t at_y(int64_t t, int64_t d, int64_t b_) const {
    const int64_t place = form.batch_first ? (b_ * size.steps + t) * form.directions + d : (t * form.directions + d) * size.batch + b_;
    return place * size.hidden;
  }
  Dims y_dims() const;
  Dims state_dims() const;
};

/// What one step of one batch row leaves behind.
struct CellStep {
  int64_t t = 0;
  std::vector<double> before;  ///< [gates H]: sums, before clip and activation
  std::vector<double> gate;    ///< [gates H]: activated
  std::vector<double> h, c;    ///< [H]: the state after the step
  std::vector<double> extra;   ///< [H]: GRU linear_before_reset: H R_h + Rb_h; else r * h before the step
};

/// The steps of direction d and batch row b, in order of processing.
std::vector<CellStep> run_cells(const RecurrentData& data, int64_t d, int64_t b);
/// The state before the steps, zeros where none is given.
std::vector<double> initial_state(const RecurrentData& data, const Tensor& state, int64_t d, int64_t b);

/// The equations of ONNX LSTM, GRU and RNN, in double. A row of length 0 has the state 0, as in ONNX Runtime; Y is 0
/// behind the end of a row.
void evaluate_recurrent(EvaluateContext& context);
/// The same backwards: gradients of all inputs.
void evaluate_recurrent_grad(EvaluateContext& context);

}  // namespace espalier
