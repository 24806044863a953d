#include "lib/ops/class_loss.h"
#include "lib/ops/gradient.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void evaluate(EvaluateContext& c) {
  const Tensor result = ClassLoss(c, 1).reduce(c.input(0).cast(DataType::float64), c.input(0).type());
  c.set(0, result.rank() == 0 ? result : result.reshaped(c.input(1).dims()));
}

void gradient(GradientContext& c) {
  if (c.wants(2)) c.fail("cannot be differentiated with respect to its weights");
  if (!c.wants(0)) return;
  c.set_grad(0, c.add("NegativeLogLikelihoodLossGrad", {c.input(0), c.input(1), c.input(2), c.grad_output()}, c.node().attributes));
}

void infer_grad(InferContext& c) {
  c.require_inputs(2, 4);  // the third may be omitted
  if (!c.has_input(3)) c.fail("input 3 is missing");
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  const ClassLoss loss(c, 1);
  Tensor result(DataType::float64, c.input(0).dims());
  const auto dy = loss.position_grads(c.input(3));
  const auto to = result.mutable_data<double>();
  for (int64_t i = 0; i < loss.positions(); ++i) to[loss.at(i, loss.labels[i])] = -dy[i];
  c.set(0, result.cast(c.input(3).type()));
}

bool lower(LowerContext& c) { return lower_class_loss(c, true); }
bool lower_grad(LowerContext& c) { return lower_class_loss_grad(c, true); }

}  // namespace

extern const Op negative_log_likelihood_loss, negative_log_likelihood_loss_grad;

const Op negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss",
    .since = 12,
    .infer = infer_class_loss,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
};

/// NegativeLogLikelihoodLossGrad(input_like, target, weight, dy) {reduction, ignore_index} -> dinput; weight may be
/// omitted.
const Op negative_log_likelihood_loss_grad = {
    .name = "NegativeLogLikelihoodLossGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
