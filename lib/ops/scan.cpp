#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/bodies.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr std::string_view kBody = "body";
constexpr int kPatience = 4;

/// Scan-8 has sequence_lens as input 0, the batch as axis 0 and time as axis 1; from 9 on there is no batch.
struct ScanForm {
  bool batched;
  size_t first, states, scans, stacks;  ///< `first`: input 0 of the states
  std::vector<int64_t> in_axes, out_axes, in_reverse, out_reverse;
};

/// An attribute list of n entries; zeros where it is absent.
template <class Context>
std::vector<int64_t> list(const Context& c, std::string_view attribute, size_t n) {
  auto values = c.node().get(attribute, std::vector<int64_t>(n, 0));
  if (values.size() != n) {
    c.fail(std::string(attribute) + " has " + std::to_string(values.size()) + " entries, expected " + std::to_string(n));
  }
  return values;
}

template <class Context>
ScanForm form(const Context& c) {
  ScanForm f;
  f.batched = c.version() < 9;
  f.first = f.batched ? 1 : 0;
  const int64_t scans = c.node().template require<int64_t>("num_scan_inputs");
  const auto operands = static_cast<int64_t>(c.node().inputs.size()) - static_cast<int64_t>(f.first);
  if (scans < 1 || scans > operands) {
    c.fail("num_scan_inputs is " + std::to_string(scans) + ", expected one in [1, " + std::to_string(operands) + "]");
  }
  f.scans = static_cast<size_t>(scans);
  f.states = static_cast<size_t>(operands - scans);
  if (c.output_count() < f.states) {
    c.fail("has " + std::to_string(c.output_count()) + " outputs, expected one for each of its " + std::to_string(f.states) + " states");
  }
  f.stacks = c.output_count() - f.states;
  f.in_reverse = list(c, f.batched ? "directions" : "scan_input_directions", f.scans);
  f.in_axes = f.batched ? std::vector<int64_t>(f.scans, 0) : list(c, "scan_input_axes", f.scans);
  f.out_reverse = f.batched ? std::vector<int64_t>(f.stacks, 0) : list(c, "scan_output_directions", f.stacks);
  f.out_axes = f.batched ? std::vector<int64_t>(f.stacks, 0) : list(c, "scan_output_axes", f.stacks);
  for (const auto* directions : {&f.in_reverse, &f.out_reverse}) {
    for (const int64_t d : *directions) {
      if (d != 0 && d != 1) c.fail("a direction is " + std::to_string(d) + ", expected 0 or 1");
    }
  }
  return f;
}

/// The fact of one batch entry.
Type without_axis(const InferContext& c, const Type& type, int64_t axis, Dim* size) {
  Type result = type;
  if (!type.has_rank()) return result;
  axis = c.axis(axis, type.rank());
  const Dim along = (*type.dims)[static_cast<size_t>(axis)];
  if (size->unknown()) *size = along;
  else if (along.known() && size->known() && !(along == *size)) {
    c.fail("axis " + std::to_string(axis) + " of a scan input has " + along.str() + " entries, expected " + size->str());
  }
  result.dims->erase(result.dims->begin() + axis);
  return result;
}

Type with_axis(const InferContext& c, Type type, int64_t axis, const Dim& size) {
  if (!type.has_rank()) return type;
  axis = c.axis(axis, type.rank() + 1);
  type.dims->insert(type.dims->begin() + axis, size);
  return type;
}

void infer(InferContext& c) {
  const ScanForm f = form(c);
  for (size_t i = f.first; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
    require_kind(c, i, Type::Kind::tensor);
  }
  require_body(c, kBody, f.states + f.scans, f.states + f.stacks);
  Dim batch, time;
  std::vector<Fact> inputs;
  for (size_t i = f.first; i < c.input_count(); ++i) {
    Fact fact = c.input(i);
    const bool scanned = i >= f.first + f.states;
    if (f.batched || scanned) fact = only_type(fact);
    if (f.batched) fact.type = without_axis(c, fact.type, 0, &batch);
    if (scanned) fact.type = without_axis(c, fact.type, f.in_axes[i - f.first - f.states], &time);
    inputs.push_back(std::move(fact));
  }
  std::vector<Fact> made;
  for (int round = 0;; ++round) {
    made = c.infer_body(kBody, inputs);
    bool changed = false;
    for (size_t i = 0; i < f.states; ++i) {
      Fact wider = joined(c, inputs[i], made[i], "state " + std::to_string(i));
      if (round >= kPatience) wider = only_type(wider), wider.type.dims.reset();
      changed = changed || !wider.type.same_as(inputs[i].type) || wider.constant.has_value() != inputs[i].constant.has_value() ||
                wider.numbers.has_value() != inputs[i].numbers.has_value();
      inputs[i] = std::move(wider);
    }
    if (!changed || round > kPatience + 1) break;
  }
  for (size_t i = 0; i < f.states + f.stacks; ++i) {
    Type type = i < f.states ? inputs[i].type : with_axis(c, made[i].type, f.out_axes[i - f.states], time);
    if (f.batched) type = with_axis(c, type, 0, batch);
    c.set(i, std::move(type));
  }
}

int64_t axis_of(EvaluateContext& c, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) c.fail("axis is " + std::to_string(axis) + ", out of the rank " + std::to_string(rank));
  return axis < 0 ? axis + rank : axis;
}

/// One scan over `steps` entries; outputs stacked, padded with zeros to `padded` entries.
std::vector<Tensor> scan(EvaluateContext& c, const ScanForm& f, const std::vector<Tensor>& operands, int64_t steps, int64_t padded) {
  std::vector<HostValue> state(operands.begin(), operands.begin() + static_cast<ptrdiff_t>(f.states));
  std::vector<std::vector<Tensor>> rows(f.stacks);
  for (int64_t t = 0; t < steps; ++t) {
    std::vector<HostValue> inputs = state;
    for (size_t k = 0; k < f.scans; ++k) {
      const Tensor& x = operands[f.states + k];
      inputs.emplace_back(picked(x, axis_of(c, f.in_axes[k], x.rank()), f.in_reverse[k] ? steps - 1 - t : t));
    }
    const auto made = c.run_body(kBody, inputs);
    state.assign(made.begin(), made.begin() + static_cast<ptrdiff_t>(f.states));
    for (size_t k = 0; k < f.stacks; ++k) rows[k].push_back(made[f.states + k].tensor());
  }
  std::vector<Tensor> result;
  for (const HostValue& value : state) result.push_back(value.tensor());
  const auto body = c.node().require<Body>(kBody);
  for (size_t k = 0; k < f.stacks; ++k) {
    if (rows[k].empty()) {
      const Type& declared = body->value(body->outputs[f.states + k]).type;
      const int64_t rank = declared.has_rank() ? declared.rank() + 1 : 1;
      result.push_back(nothing_stacked(declared, axis_of(c, f.out_axes[k], rank)));
      continue;
    }
    if (f.out_reverse[k]) std::reverse(rows[k].begin(), rows[k].end());
    while (static_cast<int64_t>(rows[k].size()) < padded) rows[k].emplace_back(rows[k][0].type(), rows[k][0].dims());
    result.push_back(stacked(rows[k], axis_of(c, f.out_axes[k], rows[k][0].rank() + 1)));
  }
  return result;
}

int64_t time_steps(EvaluateContext& c, const ScanForm& f, const std::vector<Tensor>& operands) {
  int64_t steps = -1;
  for (size_t k = 0; k < f.scans; ++k) {
    const Tensor& x = operands[f.states + k];
    const int64_t n = x.dims()[static_cast<size_t>(axis_of(c, f.in_axes[k], x.rank()))];
    if (steps >= 0 && n != steps) c.fail("scan inputs have " + std::to_string(steps) + " and " + std::to_string(n) + " entries");
    steps = n;
  }
  return steps;
}

void evaluate_batched(EvaluateContext& c, const ScanForm& f) {
  if (c.input(1).rank() == 0) c.fail("input 1 has no batch axis");
  const int64_t batch = c.input(1).dims()[0];
  const auto lengths = c.has_input(0) ? c.input(0).to_int64s() : std::vector<int64_t>();
  if (!lengths.empty() && static_cast<int64_t>(lengths.size()) != batch) {
    c.fail("sequence_lens has " + std::to_string(lengths.size()) + " entries, expected " + std::to_string(batch));
  }
  std::vector<std::vector<Tensor>> results(c.output_count());
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<Tensor> operands;
    for (size_t i = 1; i < c.input_count(); ++i) {
      if (c.input(i).rank() == 0 || c.input(i).dims()[0] != batch) c.fail("input " + std::to_string(i) + " has another batch than input 1");
      operands.push_back(picked(c.input(i), 0, b));
    }
    const int64_t most = time_steps(c, f, operands);
    const int64_t steps = lengths.empty() ? most : lengths[static_cast<size_t>(b)];
    if (steps < 0 || steps > most) c.fail("a sequence length is " + std::to_string(steps) + ", expected at most " + std::to_string(most));
    const auto made = scan(c, f, operands, steps, most);
    for (size_t i = 0; i < made.size(); ++i) results[i].push_back(made[i]);
  }
  if (batch == 0) c.fail("its batch is empty");
  for (size_t i = 0; i < results.size(); ++i) c.set(i, stacked(results[i], 0));
}

void evaluate(EvaluateContext& c) {
  const ScanForm f = form(c);
  if (f.batched) return evaluate_batched(c, f);
  std::vector<Tensor> operands;
  for (size_t i = 0; i < c.input_count(); ++i) operands.push_back(c.input(i));
  const int64_t steps = time_steps(c, f, operands);
  const auto made = scan(c, f, operands, steps, 0);
  for (size_t i = 0; i < made.size(); ++i) c.set(i, made[i]);
}

}  // namespace

extern const Op scan_op;
const Op scan_op = {
    .name = "Scan",
    .since = 8,
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .units = units::iterations,
    .cut = cuts::iterations,
};

}  // namespace espalier::ops
