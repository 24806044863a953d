#include <cmath>

#include "lib/kernels/cross_entropy.h"
#include "lib/ops/class_loss.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
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
  if (c.grad_output(1) != kNone) c.fail("cannot be differentiated through its second output, log_prob");
  if (c.wants(2)) c.fail("cannot be differentiated with respect to its weights");
  if (!c.wants(0)) return;
  c.set_grad(0, c.add("SoftmaxCrossEntropyLossGrad", {c.input(0), c.input(1), c.input(2), c.grad_output()}, c.node().attributes));
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

/// Without class weights, mean or sum, on plain scores.
std::optional<CrossEntropyProblem> problem(const LowerContext& c) {
  const Dims dims = c.dims(0);
  const auto reduction = c.node().get<std::string>("reduction", "mean");
  const DataType labels = c.type(1);
  if (c.type(0) != DataType::float32 || dims.size() < 2 || element_count(dims) == 0 || c.has_input(2) || reduction == "none" ||
      c.has_output(1) || (labels != DataType::int64 && labels != DataType::int32)) {
    return std::nullopt;
  }
  CrossEntropyProblem p{dims[0], dims[1], element_count(dims) / (dims[0] * dims[1]), labels, reduction == "mean", {}};
  if (c.node().has("ignore_index")) p.ignore_index = c.node().require<int64_t>("ignore_index");
  return p;
}

Operand plain(LowerContext& c, size_t i) { return c.read(i, Layout::plain(c.type(i), c.dims(i))); }

bool lower(LowerContext& c) {
  const auto p = problem(c);
  if (!p) return false;
  c.step(cross_entropy(*p), {plain(c, 0), plain(c, 1), c.write(0, Layout::plain(DataType::float32, {}))}, "loop");
  return true;
}

bool lower_grad(LowerContext& c) {
  const auto p = problem(c);
  if (!p || element_count(c.dims(3)) != 1) return false;
  c.step(cross_entropy_backward(*p),
         {plain(c, 0), plain(c, 1), plain(c, 3), c.write(0, Layout::plain(DataType::float32, c.dims(0)))}, "loop");
  return true;
}

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
