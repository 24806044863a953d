// LSTM, GRU and RNN: one layer, one or two directions.

#include "lib/ops/recurrent.h"

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/recurrent_lower.h"
#include "lib/ops/recurrent_reference.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

namespace in = recurrent;

/// fail() unless input i has the sizes `wanted`, as far as both are known.
void require_dims(const InferContext& c, size_t i, const char* name, const SymbolicDims& wanted) {
  if (!c.has_input(i) || !c.has_rank(i)) return;
  const SymbolicDims& dims = c.dims(i);
  bool fits = dims.size() == wanted.size();
  for (size_t axis = 0; fits && axis < dims.size(); ++axis) {
    fits = !dims[axis].known() || !wanted[axis].known() || dims[axis] == wanted[axis];
  }
  if (!fits) c.fail(std::string(name) + " has shape " + to_string(dims) + ", expected " + to_string(wanted));
}

/// The size along an axis, from the first input of known rank that tells it.
Dim first_known(const InferContext& c, std::initializer_list<std::pair<size_t, size_t>> places) {
  Dim found;
  for (const auto& [input, axis] : places) {
    if (!c.has_input(input) || !c.has_rank(input)) continue;
    const Dim& size = c.dims(input)[axis];
    if (size.known()) return size;
    if (found.unknown()) found = size;
  }
  return found;
}

Dim hidden_size(const InferContext& c, int64_t gates) {
  if (c.node().has("hidden_size")) {
    const auto size = c.node().get<int64_t>("hidden_size", 0);
    if (size <= 0) c.fail("hidden_size is " + std::to_string(size) + ", expected a positive number");
    return size;
  }
  const Dim size = first_known(c, {{in::R, 2}});
  if (!size.unknown() || !c.has_rank(in::W)) return size;
  return exact_div(c.dims(in::W)[1], gates).value_or(Dim());
}

/// X [T, B, I], W [D, gates H, I], R [D, gates H, H], B [D, 2 gates H], sequence_lens [B], initial_h, initial_c [D, B, H],
/// P [D, 3 H]; layout 1 puts B first.
void check_inputs(InferContext& c, const RecurrentForm& form) {
  c.require_inputs(3, form.cell == Cell::lstm ? in::kInputs : in::initial_c);
  require_type(c, 0, is_float, "a float type");
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (i != in::sequence_lens) require_same_type(c, 0, i);
  }
  if (c.has_input(in::sequence_lens)) {
    require_type(c, in::sequence_lens, [](DataType type) { return type == DataType::int32; }, "int32");
    c.require_rank(in::sequence_lens, 1, 1);
  }
  for (const size_t i : {in::X, in::W, in::R, in::initial_h, in::initial_c}) c.require_rank(i, 3, 3);
  for (const size_t i : {in::B, in::P}) c.require_rank(i, 2, 2);
}

void infer(InferContext& c) {
  const RecurrentForm form = recurrent_form(c.node());
  check_inputs(c, form);
  const size_t time_axis = form.batch_first ? 1 : 0, batch_axis = 1 - time_axis;
  const Dim gates = form.gates(), directions = form.directions;
  const Dim hidden = hidden_size(c, form.gates()), input = first_known(c, {{in::X, 2}, {in::W, 2}});
  const Dim steps = first_known(c, {{in::X, time_axis}});
  const size_t of_state = form.batch_first ? 0 : 1;
  const Dim batch = first_known(c, {{in::X, batch_axis}, {in::initial_h, of_state}, {in::initial_c, of_state}, {in::sequence_lens, 0}});
  const auto known_product = [](int64_t factor, const Dim& size) { return size.unknown() ? Dim() : Dim(factor) * size; };
  const SymbolicDims states = form.batch_first ? SymbolicDims{batch, directions, hidden} : SymbolicDims{directions, batch, hidden};
  require_dims(c, in::W, "W", {directions, known_product(form.gates(), hidden), input});
  require_dims(c, in::R, "R", {directions, known_product(form.gates(), hidden), hidden});
  require_dims(c, in::B, "B", {directions, known_product(2 * form.gates(), hidden)});
  require_dims(c, in::sequence_lens, "sequence_lens", {batch});
  require_dims(c, in::initial_h, "initial_h", states);
  require_dims(c, in::initial_c, "initial_c", states);
  require_dims(c, in::P, "P", {directions, known_product(3, hidden)});
  const DataType type = c.elem_type(0);
  if (c.has_output(0)) {
    c.set(0, type, form.batch_first ? SymbolicDims{batch, steps, directions, hidden} : SymbolicDims{steps, directions, batch, hidden});
  }
  for (size_t i = 1; i <= form.state_count(); ++i) {
    if (c.has_output(i)) c.set(i, type, states);
  }
  if (c.output_count() > 1 + form.state_count()) c.fail("has " + std::to_string(c.output_count()) + " outputs, expected at most " + std::to_string(1 + form.state_count()));
}

/// Every step multiplies W by the input and R by the state; the gates' arithmetic is not counted as MACs.
Cost cost(const InferContext& c) {
  const RecurrentForm form = recurrent_form(c.node());
  const auto x = c.type(in::X).known_dims(), w = c.type(in::W).known_dims(), r = c.type(in::R).known_dims();
  if (!x || !w || !r) return {.bytes = known_traffic(c)};
  const int64_t rows = checked_mul((*x)[0], (*x)[1]), hidden = (*r)[2];
  const int64_t macs = checked_mul(rows, checked_mul(form.directions * form.gates(), checked_mul(hidden, checked_add((*x)[2], hidden))));
  const int64_t outputs = checked_mul(rows, form.directions * hidden);
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), checked_mul(5 * form.gates(), outputs)), .bytes = known_traffic(c)};
}

std::vector<int> parameters(const Node& node) {
  if (node.op_type == "LSTM") return {in::W, in::R, in::B, in::P};
  return {in::W, in::R, in::B};
}

/// Through time, in one node: LSTMGrad, GRUGrad or RNNGrad.
void gradient(GradientContext& c) {
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < in::kInputs; ++i) inputs.push_back(c.input(i));
  for (size_t i = 0; i < 3; ++i) inputs.push_back(c.grad_output(i));
  const auto grads = c.add_many(c.node().op_type + "Grad", inputs, in::kInputs, c.node().attributes);
  for (size_t i = 0; i < in::kInputs; ++i) {
    if (i != in::sequence_lens && c.wants(i)) c.set_grad(i, grads[i]);
  }
}

constexpr Op recurrent_op(std::string_view name) {
  return {
      .name = name,
      .infer = infer,
      .evaluate = evaluate_recurrent,
      .lower = lower_recurrent,
      .gradient = gradient,
      .units = units::recurrent,
      .cut = cuts::recurrent,
      .cost = cost,
      .parameters = parameters,
  };
}

/// <Op>Grad(X, W, R, B, sequence_lens, initial_h, initial_c, P, dY, dY_h, dY_c) {the forward's attributes} -> the
/// gradients of X, W, R, B, -, initial_h, initial_c, P. A gradient that is not given is zero.
void infer_grad(InferContext& c) {
  if (c.input_count() != in::dY_c + 1) c.fail("has " + std::to_string(c.input_count()) + " inputs, expected 11");
  for (size_t i = 0; i < c.output_count(); ++i) {
    if (!c.has_output(i)) continue;
    if (c.has_input(i)) c.set(i, c.type(i));
    else c.set(i, Type::tensor(c.elem_type(0), Dims{0}));
  }
}

constexpr Op gradient_op(std::string_view name) {
  return {.name = name, .domain = kInternalDomain, .infer = infer_grad, .evaluate = evaluate_recurrent_grad, .lower = lower_recurrent_grad};
}

}  // namespace

extern const Op lstm, gru, rnn, lstm_grad, gru_grad, rnn_grad;
const Op lstm = recurrent_op("LSTM");
const Op gru = recurrent_op("GRU");
const Op rnn = recurrent_op("RNN");
const Op lstm_grad = gradient_op("LSTMGrad");
const Op gru_grad = gradient_op("GRUGrad");
const Op rnn_grad = gradient_op("RNNGrad");

}  // namespace espalier::ops
