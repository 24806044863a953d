#pragma once

#include "lib/ops/lower.h"

namespace espalier {

/// The fast step of LSTM, GRU and RNN in float: whole sequences, gates of Sigmoid, HardSigmoid, Tanh or Relu in the places
/// where the fast loops know them. Peepholes, clip, input_forget, sequence_lens and other activations run by `evaluate`.
bool lower_recurrent(LowerContext& context);
/// The same through time; needs what the forward step kept.
bool lower_recurrent_grad(LowerContext& context);

}  // namespace espalier
