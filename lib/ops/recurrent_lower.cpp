#include "lib/ops/recurrent_lower.h"

#include <algorithm>

#include "lib/kernels/recurrent.h"
#include "lib/kernels/vector_loops.h"
#include "lib/ops/recurrent.h"

namespace espalier {
namespace {

namespace in = recurrent;

std::optional<ElementOp> fast_function(const GateActivation& a) {
  using Kind = GateActivation::Kind;
  switch (a.kind) {
    case Kind::sigmoid: return ElementOp{ElementKind::sigmoid};
    case Kind::tanh: return ElementOp{ElementKind::tanh};
    case Kind::relu: return ElementOp{ElementKind::relu};
    case Kind::hard_sigmoid: return ElementOp{ElementKind::hard_sigmoid, static_cast<float>(a.alpha), static_cast<float>(a.beta)};
    default: return std::nullopt;
  }
}

/// The problem of a forward node or of its gradient, whose first inputs are the same; nothing where the loops cannot.
std::optional<RecurrentProblem> problem_of(const LowerContext& c) {
  const RecurrentForm form = recurrent_form(c.node());
  const Dims x = c.dims(in::X), r = c.dims(in::R);
  RecurrentProblem p;
  p.cell = form.cell == Cell::lstm  ? RecurrentProblem::Cell::lstm
           : form.cell == Cell::gru ? RecurrentProblem::Cell::gru
                                    : RecurrentProblem::Cell::rnn;
  p.steps = x[form.batch_first ? 1 : 0];
  p.batch = x[form.batch_first ? 0 : 1];
  p.input = x[2];
  p.hidden = r[2];
  p.directions = form.directions;
  p.reverse = form.reverse;
  p.batch_first = form.batch_first;
  p.linear_before_reset = form.linear_before_reset;
  p.bias = c.has_input(in::B);
  p.initial_h = c.has_input(in::initial_h);
  p.initial_c = c.has_input(in::initial_c);
  const bool empty = std::min({p.steps, p.batch, p.input, p.hidden}) == 0;
  if (c.type(in::X) != DataType::float32 || empty || form.clip || form.input_forget || c.has_input(in::P)) return std::nullopt;
  if (!has_whole_sequences(c.facts(), p.steps)) return std::nullopt;
  for (const auto& direction : form.activations) {
    std::vector<ElementOp>& functions = p.functions.emplace_back();
    for (const GateActivation& a : direction) {
      const auto fast = fast_function(a);
      if (!fast) return std::nullopt;
      functions.push_back(*fast);
    }
  }
  return p;
}

Operand read_plain(LowerContext& c, size_t i) { return c.read(i, Layout::plain(DataType::float32, c.dims(i))); }

}  // namespace

bool lower_recurrent(LowerContext& c) {
  auto p = problem_of(c);
  if (!p) return false;
  p->y = c.has_output(0);
  p->y_h = c.has_output(1);
  p->y_c = c.has_output(2);
  std::vector<Operand> args;
  for (const size_t i : {in::X, in::W, in::R, in::B, in::initial_h, in::initial_c}) {
    if (c.has_input(i)) args.push_back(read_plain(c, i));
  }
  for (size_t i = 0; i < 3; ++i) {
    if (c.has_output(i)) args.push_back(c.write(i, Layout::plain(DataType::float32, c.output_dims(i))));
  }
  args.push_back(c.training() ? c.keep(recurrent_state_bytes(*p)) : c.scratch(recurrent_state_bytes(*p)));
  args.push_back(c.scratch(recurrent_forward_scratch(*p)));
  c.step(recurrent_forward(*p), args, vector_loops().name);
  return true;
}

bool lower_recurrent_grad(LowerContext& c) {
  auto p = problem_of(c);
  if (!p || !c.kept()) return false;
  p->y = c.has_input(in::dY);
  p->y_h = c.has_input(in::dY_h);
  p->y_c = c.has_input(in::dY_c);
  const RecurrentWanted wanted{c.has_output(in::X), c.has_output(in::W),         c.has_output(in::R),
                               c.has_output(in::B), c.has_output(in::initial_h), c.has_output(in::initial_c)};
  std::vector<Operand> args;
  for (const size_t i : {in::X, in::W, in::R, in::dY, in::dY_h, in::dY_c}) {
    if (c.has_input(i)) args.push_back(read_plain(c, i));
  }
  args.push_back(*c.kept());
  for (const size_t i : {in::X, in::W, in::R, in::B, in::initial_h, in::initial_c}) {
    if (c.has_output(i)) args.push_back(c.write(i, Layout::plain(DataType::float32, c.output_dims(i))));
  }
  args.push_back(c.scratch(recurrent_backward_scratch(*p)));
  c.step(recurrent_backward(*p, wanted), args, vector_loops().name);
  return true;
}

}  // namespace espalier
