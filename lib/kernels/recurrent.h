#pragma once

#include <vector>

#include "lib/kernels/element.h"
#include "lib/kernels/kernel.h"

namespace espalier {

/// An LSTM, GRU or RNN layer over whole sequences in float, as ONNX describes it: all tensors plain.
struct RecurrentProblem {
  enum class Cell { lstm, gru, rnn };
  Cell cell = Cell::rnn;
  int64_t steps, batch, input, hidden;
  int64_t directions = 1;
  bool reverse = false;              ///< the only direction runs backwards; of two, the second does
  bool batch_first = false;          ///< layout 1
  bool linear_before_reset = false;  ///< GRU
  /// By direction, then by function (LSTM f, g, h; GRU f, g; RNN f): sigmoid, hard_sigmoid, tanh or relu.
  std::vector<std::vector<ElementOp>> functions;
  bool bias = false, initial_h = false, initial_c = false;  ///< present inputs
  bool y = false, y_h = false, y_c = false;                 ///< present outputs; backward: gradients that arrive

  int64_t gates() const { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }
  bool runs_backwards(int64_t direction) const { return direction == 1 || reverse; }
};

/// What the forward step leaves for the backward one, and needs for itself: gates, states and cells of all steps.
size_t recurrent_state_bytes(const RecurrentProblem& problem);

/// Arguments: X, W, R, [B], [initial_h], [initial_c], [Y], [Y_h], [Y_c], state, scratch of recurrent_forward_scratch
/// bytes. One product of all steps' X with W; then, step by step, the state with R and the gates.
std::unique_ptr<Kernel> recurrent_forward(const RecurrentProblem& problem);
size_t recurrent_forward_scratch(const RecurrentProblem& problem);

/// Which gradients are wanted.
struct RecurrentWanted {
  bool x = false, w = false, r = false, b = false, initial_h = false, initial_c = false;
};

/// Arguments: X, W, R, [dY], [dY_h], [dY_c], state, then the wanted of dX, dW, dR, dB, dinitial_h, dinitial_c, then
/// scratch of recurrent_backward_scratch bytes.
std::unique_ptr<Kernel> recurrent_backward(const RecurrentProblem& problem, const RecurrentWanted& wanted);
size_t recurrent_backward_scratch(const RecurrentProblem& problem);

}  // namespace espalier
