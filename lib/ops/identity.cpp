#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.outputs()[0] = c.input(0);
}

void evaluate(EvaluateContext& c) { c.set_value(0, c.value(0)); }

void gradient(GradientContext& c) { c.set_grad(0, c.grad_output()); }

}  // namespace

extern const Op identity;
const Op identity = {.name = "Identity", .until = 25, .infer = infer, .evaluate = evaluate, .gradient = gradient, .units = units::same, .cut = cuts::same, .is_view = true};

}  // namespace espalier::ops
