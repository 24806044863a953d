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

void units::iterations(UnitContext& c) {
  if (!is_opened(c)) return c.opaque();
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.active(c.input(i))) c.freeze_value(c.input(i), c.op() + " carries it from one iteration to the next");
  }
}

void cuts::iterations(CutContext& c) { c.opaque(); }

}  // namespace espalier
