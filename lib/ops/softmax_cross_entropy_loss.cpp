#include <cmath>

#include "lib/ops/class_loss.h"
#include "lib/ops/gradient.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  infer_class_loss(c);
  if (c.has_output(1)) c.set(1, c.type(0));
}

void evaluate(EvaluateContext& c) {
  const ClassLoss loss(c, 1);
  const Tensor log_prob = log_softmax_of_scores(c.input(0));
  const Tensor result = loss.reduce(log_prob, c.input(0).type());
  c.set(0, result.rank() == 0 ? result : result.reshaped(c.input(1).dims()));
  if (c.has_output(1)) c.set(1, log_prob.cast(c.input(0).type()));
}

void gradient(GradientContext& c) {
  if (c.wants(2)) c.fail("cannot be differentiated with respect to its weights");
  if (!c.wants(0)) return;
  ValueId grad = kNone;
  if (c.grad_output(0) != kNone) {
    grad = c.add("SoftmaxCrossEntropyLossGrad", {c.input(0), c.input(1), c.input(2), c.grad_output(0)}, c.node().attributes);
  }
  if (c.grad_output(1) != kNone) {
    const ValueId through = c.add("LogSoftmaxGrad", {c.output(1), c.grad_output(1)}, {{"axis", int64_t{1}, {}}});
    grad = grad == kNone ? through : c.add("Add", {grad, through});
  }
  c.set_grad(0, grad);
}

void infer_grad(InferContext& c) {
  c.require_inputs(2, 4);  // the third may be omitted
  if (!c.has_input(3)) c.fail("input 3 is missing");
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  const ClassLoss loss(c, 1);
  Tensor result = log_softmax_of_scores(c.input(0));
  const auto dy = loss.position_grads(c.input(3));
  const auto to = result.mutable_data<double>();
  for (int64_t i = 0; i < loss.positions(); ++i) {
    for (int64_t k = 0; k < loss.classes; ++k) {
      double& dx = to[loss.at(i, k)];
      dx = dy[i] == 0 ? 0.0 : dy[i] * (std::exp(dx) - (k == loss.labels[i] ? 1.0 : 0.0));
    }
  }
  c.set(0, result.cast(c.input(0).type()));
}

bool lower(LowerContext& c) { return lower_class_loss(c, false); }
bool lower_grad(LowerContext& c) { return lower_class_loss_grad(c, false); }

}  // namespace

extern const Op softmax_cross_entropy_loss, softmax_cross_entropy_loss_grad;

const Op softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss",
    .since = 12,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
};

/// SoftmaxCrossEntropyLossGrad(scores, labels, weights, dy) {reduction, ignore_index} -> dscores; weights may be omitted.
const Op softmax_cross_entropy_loss_grad = {
    .name = "SoftmaxCrossEntropyLossGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
};

}  // namespace espalier::ops
