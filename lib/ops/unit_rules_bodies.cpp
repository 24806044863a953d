#include <algorithm>

#include "lib/ops/carried_states.h"
#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

/// Input of an opened If that branch `which` gives output i.
size_t given_by(const UnitNode& c, size_t which, size_t i) { return 1 + which * c.output_count() + i; }

bool is_opened(const UnitNode& c) { return c.op() == "If" ? !c.node().has("then_branch") : !c.node().has("body"); }

}  // namespace

void units::branches(UnitContext& c) {
  if (!is_opened(c)) return c.opaque();
  for (size_t i = 0; i < c.output_count(); ++i) {
    const ValueId out = c.output(i);
    std::vector<ValueId> given;
    bool alike = out != kNone;
    for (const size_t which : {size_t{0}, size_t{1}}) {
      const ValueId v = c.input(given_by(c, which, i));
      alike = alike && c.dims(v) == c.dims(out);
      if (c.active(v)) given.push_back(v);
    }
    if (alike) c.join(out, given);
    for (const ValueId v : given) {
      if (!alike) c.freeze_value(v, "the branches of If differ in its size");
    }
  }
}

void cuts::branches(CutContext& c) {
  if (!is_opened(c)) return c.opaque();
  for (size_t i = 0; i < c.output_count(); ++i) {
    const ValueId out = c.output(i);
    const std::vector<size_t> given = {given_by(c, 0, i), given_by(c, 1, i)};
    if (out == kNone) continue;
    const std::vector<Bundle> left = c.join(out, given);
    for (const size_t k : given) {
      const ValueId v = c.input(k);
      if (left.empty() || !c.constant(v)) continue;
      c.set_input(k, cut_weight(c, v, [&](const Tensor& t) { return c.follow(t, left, 0); }));
    }
    c.record(out, left);
  }
}

CarriedStates carried_states(const Node& node, bool opened) {
  const bool loop = node.op_type == "Loop";
  const size_t others = loop ? 2 : static_cast<size_t>(node.get<int64_t>("num_scan_inputs", 0));  // condition and trips, or what is scanned
  CarriedStates result{0, node.inputs.size(), loop ? size_t{2} : 0, loop ? size_t{2} : 0, loop ? size_t{1} : 0};
  if (opened) result.inputs -= node.outputs.size() + result.out_of_body;
  // Opened, a node of n states has others + n inputs and then a body's outputs: those of the node, and the condition.
  result.count = result.inputs - others;
  return result;
}

namespace {

/// Axes behind the one along which the iterations are stacked.
std::vector<Bundle> behind(const std::vector<Bundle>& bundles, int axis) {
  std::vector<Bundle> result;
  for (Bundle b : bundles) {
    for (int& a : b.axes) a += a >= axis ? 1 : 0;
    b.ragged += b.ragged >= axis ? 1 : 0;
    result.push_back(std::move(b));
  }
  return result;
}

int stack_axis(const UnitNode& c, size_t stack, ValueId out) {
  const auto axes = c.node().get<std::vector<int64_t>>("scan_output_axes", {});
  return stack < axes.size() ? c.axis(axes[stack], c.rank(out)) : 0;
}

/// Whether state k keeps its size, in a form that may shrink.
bool is_carried(const UnitNode& c, size_t k) {
  const auto states = c.node().get<std::vector<int64_t>>(kCarried, {});
  return std::find(states.begin(), states.end(), static_cast<int64_t>(k)) != states.end();
}

std::string carries(const UnitNode& c) { return c.op() + " carries it from one iteration to the next"; }

}  // namespace

void units::iterations(UnitContext& c) {
  if (!is_opened(c)) return c.opaque();
  const CarriedStates s = carried_states(c.node(), true);
  const size_t made_by_body = s.inputs + s.out_of_body;
  for (size_t i = 0; i < made_by_body; ++i) {
    const bool state = i >= s.first_input && i < s.first_input + s.count;
    if (!state && c.active(c.input(i))) c.freeze_value(c.input(i), c.op() + " counts or scans by it");
  }
  for (size_t k = 0; k < s.count; ++k) {
    const ValueId before = c.input(s.first_input + k), after = c.input(made_by_body + k), out = c.output(k);
    if (!is_carried(c, k) || (c.active(before) && c.bundles(before).empty())) {
      const std::string reason = is_carried(c, k) ? "initial state is fixed (graph input)" : carries(c);
      for (const ValueId v : {before, after}) {
        if (c.active(v)) c.freeze_value(v, reason);
      }
    }
    if (!is_carried(c, k)) continue;
    std::vector<ValueId> same = {after};
    if (c.active(before)) same.push_back(before);
    c.join(out == kNone ? after : out, same);
  }
  for (size_t i = made_by_body + s.count; i < c.input_count(); ++i) {
    const ValueId out = c.output(i - made_by_body), made = c.input(i);
    if (out != kNone && c.active(made)) c.set(out, behind(c.bundles(made), stack_axis(c, i - made_by_body - s.count, out)));
  }
}

void cuts::iterations(CutContext& c) {
  if (!is_opened(c)) return c.opaque();
  const CarriedStates s = carried_states(c.node(), true);
  const size_t made_by_body = s.inputs + s.out_of_body;
  const auto bring = [&](size_t i, const std::vector<Bundle>& wanted) {
    const ValueId v = c.input(i);
    if (!c.active(v)) return c.set_input(i, cut_weight(c, v, [&](const Tensor& t) { return c.follow(t, wanted, 0); }));
    ValueId now = c.current(i);
    for (const Bundle& w : wanted) now = c.reorder(v, now, c.along(v, w.ragged), w, "a state's order");
    c.set_input(i, now);
  };
  for (size_t i = 0; i < made_by_body; ++i) {
    const bool state = i >= s.first_input && i < s.first_input + s.count;
    if (!state && c.active(c.input(i))) c.require_whole(c.input(i));
  }
  for (size_t k = 0; k < s.count; ++k) {
    const size_t before = s.first_input + k, after = made_by_body + k;
    const auto left = is_carried(c, k) ? c.canonical(c.input(after)) : std::vector<Bundle>{};
    for (const size_t i : {before, after}) {
      if (!left.empty()) bring(i, left);
      else if (c.active(c.input(i))) c.require_whole(c.input(i));
    }
    if (c.output(k) != kNone) c.record(c.output(k), left);
  }
  for (size_t i = made_by_body + s.count; i < c.input_count(); ++i) {
    const ValueId out = c.output(i - made_by_body), made = c.input(i);
    if (out == kNone) continue;
    c.record(out, c.active(made) ? behind(c.kept(made), stack_axis(c, i - made_by_body - s.count, out)) : std::vector<Bundle>{});
  }
}

}  // namespace espalier
