#include "lib/kernels/recurrent_state.h"

#include <cstring>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

int64_t cell_slots(const RecurrentProblem& p) { return p.cell == RecurrentProblem::Cell::lstm ? p.steps + 1 : 0; }

}  // namespace

int64_t RecurrentState::extra_slots(const RecurrentProblem& p) {
  if (p.cell == RecurrentProblem::Cell::rnn) return 0;
  return p.cell == RecurrentProblem::Cell::gru && p.linear_before_reset ? 3 * p.steps : p.steps;
}

int64_t RecurrentState::floats(const RecurrentProblem& p) {
  const int64_t slots = p.gates() * p.steps + p.steps + 1 + cell_slots(p) + extra_slots(p);
  return (slots * p.batch * p.hidden + 15) / 16 * 16;
}

RecurrentState::RecurrentState(const RecurrentProblem& p, int64_t direction, float* memory)
    : p_(&p), backwards_(p.runs_backwards(direction)), gates_(memory + direction * floats(p)) {
  hidden_ = gates_ + p.gates() * p.steps * slot();
  cells_ = hidden_ + (p.steps + 1) * slot();
  extra_ = cells_ + cell_slots(p) * slot();
}

size_t recurrent_state_bytes(const RecurrentProblem& p) {
  return static_cast<size_t>(RecurrentState::floats(p) * p.directions) * sizeof(float);
}

void through_activation(const ElementOp& f, const float* value, float* grad, int64_t n) {
  ElementOp op = f;
  switch (f.kind) {
    case ElementKind::sigmoid: op.kind = ElementKind::sigmoid_grad; break;
    case ElementKind::tanh: op.kind = ElementKind::tanh_grad; break;
    case ElementKind::relu: op.kind = ElementKind::relu_grad; break;
    case ElementKind::hard_sigmoid: op.kind = ElementKind::hard_sigmoid_grad; break;
    default: throw Error(ErrorKind::internal, "an activation that recurrent steps do not have");
  }
  float* const registers[] = {const_cast<float*>(value), grad};
  const ElementStep step{op, 0, 1, 1};
  vector_loops().element_steps(&step, 1, registers, n);
}

void swap_axes(const float* from, float* to, int64_t a, int64_t b, int64_t n) {
  parallel_for(b, 4096 / n + 1, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      for (int64_t i = 0; i < a; ++i) {
        std::memcpy(to + (j * a + i) * n, from + (i * b + j) * n, static_cast<size_t>(n) * sizeof(float));
      }
    }
  });
}

}  // namespace espalier
