#pragma once

// For the two kernels of recurrent.h: where things lie in the memory that they share.

#include "lib/kernels/recurrent.h"
#include "lib/kernels/recurrent_loops.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {

/// The state memory of one direction, in floats. Everything is time-major: step t, batch row b.
class RecurrentState {
 public:
  RecurrentState(const RecurrentProblem& p, int64_t direction, float* memory);

  static int64_t floats(const RecurrentProblem& p);  ///< of one direction

  int64_t rows() const { return p_->steps * p_->batch; }
  int64_t width() const { return p_->gates() * p_->hidden; }
  int64_t step(int64_t k) const { return backwards_ ? p_->steps - 1 - k : k; }  ///< t of the k-th step
  int64_t first_slot() const { return backwards_ ? p_->steps : 0; }             ///< the slot of the initial state
  int64_t last_slot() const { return backwards_ ? 0 : p_->steps; }

  float* gates(int64_t t) const { return gates_ + t * p_->batch * width(); }          ///< [B, gates H], activated
  // States lie in steps + 1 slots, so that those before all steps are one matrix, as those after are.
  float* h_before(int64_t t) const { return hidden_ + (t + (backwards_ ? 1 : 0)) * slot(); }
  float* h_after(int64_t t) const { return hidden_ + (t + (backwards_ ? 0 : 1)) * slot(); }
  float* h_slot(int64_t i) const { return hidden_ + i * slot(); }
  float* c_before(int64_t t) const { return cells_ + (t + (backwards_ ? 1 : 0)) * slot(); }
  float* c_after(int64_t t) const { return cells_ + (t + (backwards_ ? 0 : 1)) * slot(); }
  float* c_slot(int64_t i) const { return cells_ + i * slot(); }
  float* squashed(int64_t t) const { return extra_ + t * slot(); }    ///< LSTM: h(C) [B, H]
  float* reset(int64_t t) const { return extra_ + t * slot(); }       ///< GRU: r * h before [B, H]
  float* linear(int64_t t) const { return extra_ + t * 3 * slot(); }  ///< GRU linear_before_reset: h R + Rb_h [B, 3 H]
  int64_t slot() const { return p_->batch * p_->hidden; }

 private:
  static int64_t extra_slots(const RecurrentProblem& p);

  const RecurrentProblem* p_;
  bool backwards_;
  float *gates_, *hidden_, *cells_, *extra_;
};

/// values = f(values), in place.
inline void activate(const ElementOp& f, float* from, float* to, int64_t n) {
  float* const registers[] = {from, to};
  const ElementStep step{f, 0, 0, 1};
  vector_loops().element_steps(&step, 1, registers, n);
}

/// grad *= f'(x), where `value` is f(x).
void through_activation(const ElementOp& f, const float* value, float* grad, int64_t n);

/// [A, B, n] to [B, A, n].
void swap_axes(const float* from, float* to, int64_t a, int64_t b, int64_t n);

/// Rows of a batch that are worth a thread.
inline int64_t row_grain(int64_t hidden) { return 8192 / hidden + 1; }

}  // namespace espalier
