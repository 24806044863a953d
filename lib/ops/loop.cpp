#include <limits>

#include "lib/ops/bodies.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr std::string_view kBody = "body";
constexpr int kPatience = 4;  // joins of a state that keeps changing, before its sizes are given up

/// Body inputs: iteration, condition, states. Body outputs: condition, states, and what is stacked.
struct LoopForm {
  size_t states, stacks;
};

LoopForm form(const InferContext& c) {
  if (c.input_count() < 2) c.fail("has " + std::to_string(c.input_count()) + " inputs, expected at least 2");
  const size_t states = c.input_count() - 2;
  for (size_t i = 2; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
  }
  if (c.output_count() < states) {
    c.fail("has " + std::to_string(c.output_count()) + " outputs, expected at least one for each of its " +
           std::to_string(states) + " states");
  }
  require_body(c, kBody, states + 2, c.output_count() + 1);
  return {states, c.output_count() - states};
}

/// Iteration and condition inside the body, which only runs where the condition holds.
std::vector<Fact> control_facts(const Graph& body) {
  const Tensor yes = scalar_for(body, 1, Tensor::scalar(true));
  return {Fact{Type::tensor(DataType::int64, scalar_for(body, 0, Tensor::scalar(int64_t{0})).dims()), {}, {}},
          Fact{Type::tensor(yes.type(), yes.dims()), yes, {}}};
}

bool same(const Fact& a, const Fact& b) {
  const bool constants = a.constant.has_value() == b.constant.has_value() && (!a.constant || *a.constant == *b.constant);
  return constants && a.type.same_as(b.type) && a.numbers.has_value() == b.numbers.has_value() &&
         (!a.numbers || *a.numbers == *b.numbers);
}

/// Widens `states` by what the body made of them. Returns whether anything changed.
bool widen(const InferContext& c, std::vector<Fact>& states, const std::vector<Fact>& made, bool impatient) {
  bool changed = false;
  for (size_t i = 0; i < states.size(); ++i) {
    Fact wider = joined(c, states[i], made[i + 1], "state " + std::to_string(i));
    if (same(wider, states[i])) continue;
    if (impatient) wider.type.dims.reset(), wider.constant.reset(), wider.numbers.reset();
    states[i] = std::move(wider);
    changed = true;
  }
  return changed;
}

/// How often the body runs, if that is known.
Dim trips(const InferContext& c, const std::vector<Fact>& made) {
  const auto always = [](const Tensor* t) { return t && t->type() == DataType::boolean && t->size() == 1 && t->data<bool>()[0]; };
  if (c.has_input(1) && !always(c.constant(1))) return {};
  if (!made[0].constant || !always(&*made[0].constant)) return {};
  const auto count = c.has_input(0) ? c.numbers(0) : std::nullopt;
  if (!count || count->size() != 1) return {};
  const Dim& n = count->front();
  return n.known() && n.value() < 0 ? Dim(0) : n;
}

void infer(InferContext& c) {
  const LoopForm f = form(c);
  const Graph& body = *c.node().require<Body>(kBody);
  require_scalar(c, 0, DataType::int64, "the trip count");
  require_scalar(c, 1, DataType::boolean, "the condition");
  std::vector<Fact> states, made;
  for (size_t i = 0; i < f.states; ++i) states.push_back(c.input(i + 2));
  for (int round = 0;; ++round) {
    std::vector<Fact> inputs = control_facts(body);
    inputs.insert(inputs.end(), states.begin(), states.end());
    made = c.infer_body(kBody, inputs);
    // Kind and element type can only become unknown, so a round after the last wide one changes nothing more.
    if (!widen(c, states, made, round >= kPatience) || round > kPatience + 1) break;
  }
  for (size_t i = 0; i < f.states; ++i) c.outputs()[i] = states[i];
  const Dim n = trips(c, made);
  for (size_t i = f.states; i < f.states + f.stacks; ++i) {
    const Type& each = made[i + 1].type;
    if (each.kind != Type::Kind::unknown && !each.is_tensor()) {
      c.fail("output " + std::to_string(i) + " stacks " + each.str() + ", expected a tensor");
    }
    Type type = each;
    if (type.has_rank()) type.dims->insert(type.dims->begin(), n);
    c.set(i, std::move(type));
  }
}

void evaluate(EvaluateContext& c) {
  const auto body = c.node().require<Body>(kBody);
  const size_t states = c.input_count() - 2, stacks = c.output_count() - states;
  const int64_t most = c.has_input(0) ? whole_number(c, c.value(0), "the trip count") : std::numeric_limits<int64_t>::max();
  bool on = !c.has_input(1) || truth(c, c.value(1), "the condition");
  std::vector<HostValue> state;
  for (size_t i = 0; i < states; ++i) state.push_back(c.value(i + 2));
  std::vector<std::vector<Tensor>> rows(stacks);
  for (int64_t trip = 0; on && trip < most; ++trip) {
    std::vector<HostValue> inputs = {scalar_for(*body, 0, Tensor::scalar(trip)), scalar_for(*body, 1, Tensor::scalar(on))};
    inputs.insert(inputs.end(), state.begin(), state.end());
    state.clear();
    const auto made = c.run_body(kBody, inputs);
    on = truth(c, made[0], "the body's condition");
    state.assign(made.begin() + 1, made.begin() + 1 + static_cast<ptrdiff_t>(states));
    for (size_t i = 0; i < stacks; ++i) rows[i].push_back(made[1 + states + i].tensor());
  }
  for (size_t i = 0; i < states; ++i) c.set_value(i, state[i]);
  for (size_t i = 0; i < stacks; ++i) {
    const Type& declared = body->value(body->outputs[1 + states + i]).type;
    c.set(states + i, rows[i].empty() ? nothing_stacked(declared, 0) : stacked(rows[i], 0));
  }
}

}  // namespace

extern const Op loop;
const Op loop = {
    .name = "Loop",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .units = units::iterations,
    .cut = cuts::iterations,
};

}  // namespace espalier::ops
