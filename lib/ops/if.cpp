#include "lib/base/error.h"
#include "lib/ops/bodies.h"
#include "lib/ops/gradient.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr std::string_view kThen = "then_branch", kElse = "else_branch";

/// Facts of a branch's outputs. Where sizes were bound, a branch may be one for other sizes: then nothing, and why.
std::optional<std::vector<Fact>> branch(const InferContext& c, std::string_view attribute, std::optional<Error>* why) {
  try {
    return c.infer_body(attribute, {});
  } catch (const Error& e) {
    if (!c.sizes_bound() || e.kind() != ErrorKind::bad_data) throw;
    *why = e;
    return std::nullopt;
  }
}

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_scalar(c, 0, DataType::boolean, "the condition");
  require_body(c, kThen, 0, c.output_count());
  require_body(c, kElse, 0, c.output_count());
  if (const Tensor* condition = c.constant(0)) {
    c.outputs() = c.infer_body(condition->data<bool>()[0] ? kThen : kElse, {});
    return;
  }
  std::optional<Error> why;
  const auto then_facts = branch(c, kThen, &why), else_facts = branch(c, kElse, &why);
  if (!then_facts && !else_facts) throw *why;
  for (size_t i = 0; i < c.output_count(); ++i) {
    Fact& out = c.outputs()[i];
    if (!then_facts || !else_facts) out = only_type((then_facts ? *then_facts : *else_facts)[i]);
    else out = joined(c, (*then_facts)[i], (*else_facts)[i], "output " + std::to_string(i));
  }
}

void evaluate(EvaluateContext& c) {
  const auto made = c.run_body(truth(c, c.value(0), "the condition") ? kThen : kElse, {});
  for (size_t i = 0; i < made.size(); ++i) c.set_value(i, made[i]);
}

/// Its inputs bear no gradient; what its branches capture does, and that is the graph's matter (lib/autodiff/branch_gradient.h).
void gradient(GradientContext&) {}

}  // namespace

extern const Op if_op;
const Op if_op = {
    .name = "If",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::branches,
    .cut = cuts::branches,
};

}  // namespace espalier::ops
