#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

class InferContext;

/// LSTM, GRU and RNN (and their gradients LSTMGrad, GRUGrad, RNNGrad) share their form; they differ in what a step does.
enum class Cell { lstm, gru, rnn };

/// An activation function of a gate, as the attributes `activations`, `activation_alpha` and `activation_beta` name it.
struct GateActivation {
  enum class Kind {
    affine,            ///< alpha x + beta (1, 0)
    relu,
    leaky_relu,        ///< x < 0 ? alpha x : x (0.01)
    thresholded_relu,  ///< x >= alpha ? x : 0 (1)
    tanh,
    scaled_tanh,       ///< alpha tanh(beta x) (1, 1)
    sigmoid,
    hard_sigmoid,      ///< min(max(alpha x + beta, 0), 1) (0.2, 0.5)
    elu,               ///< x < 0 ? alpha (exp(x) - 1) : x (1)
    softsign,          ///< x / (1 + |x|)
    softplus,          ///< log(1 + exp(x))
  };
  Kind kind = Kind::tanh;
  double alpha = 0, beta = 0;

  double value(double x) const;
  double slope(double x) const;  ///< the derivative; at a kink, of the branch that value() takes
};

/// What a recurrent node asks for.
struct RecurrentForm {
  Cell cell = Cell::rnn;
  int64_t directions = 1;
  bool reverse = false;              ///< the first direction runs backwards; of two, the second does
  bool batch_first = false;          ///< layout 1: X [B, T, I], Y [B, T, D, H], states [B, D, H]
  std::optional<double> clip;        ///< of what goes into the gates' activations (not into LSTM's h)
  bool input_forget = false;         ///< LSTM: f = 1 - i
  bool linear_before_reset = false;  ///< GRU
  /// By direction, then LSTM f, g, h; GRU f, g; RNN f.
  std::vector<std::vector<GateActivation>> activations;

  int64_t gates() const { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }
  bool runs_backwards(int64_t direction) const { return direction == 1 || reverse; }
  size_t state_count() const { return cell == Cell::lstm ? 2 : 1; }
};

/// Reads and checks the attributes. Alphas and betas are consumed, in order, by the functions that have them; what is not
/// given has the default of the function's own ONNX operator. Throws Error(bad_data) that names the node.
/// Source: ONNX LSTM, GRU, RNN, versions 1 to 22; `output_sequence` of version 1 says nothing that the outputs do not.
RecurrentForm recurrent_form(const Node& node);

/// Sizes of X [T, B, I], W [D, gates * H, I].
struct RecurrentSizes {
  int64_t steps, batch, input, hidden;
};

/// Inputs of a recurrent node by place; GRU and RNN end at initial_h. Their gradients have them all.
namespace recurrent {
inline constexpr size_t X = 0, W = 1, R = 2, B = 3, sequence_lens = 4, initial_h = 5, initial_c = 6, P = 7;
inline constexpr size_t kInputs = 8;
/// Of the gradients, after the forward's inputs: the gradients of Y, Y_h and Y_c. Output i is the gradient of input i.
inline constexpr size_t dY = 8, dY_h = 9, dY_c = 10;
}  // namespace recurrent

/// Whether input sequence_lens is absent, or a constant that says that every sequence has all `steps` steps.
bool has_whole_sequences(const InferContext& context, int64_t steps);

}  // namespace espalier
