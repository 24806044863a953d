#include <cmath>

#include "lib/kernels/losses.h"
#include "lib/ops/class_loss.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void check_temperature(InferContext& c) {
  const float temperature = c.node().get<float>("temperature", 1.0f);
  if (!(temperature > 0)) c.fail("temperature is " + std::to_string(temperature) + ", expected more than 0");
  c.require_rank(0, 2, kMaxRank);
}

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  check_temperature(c);
  c.set(0, c.elem_type(0), {});
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  check_temperature(c);
  c.set(0, c.type(0));
}

/// log softmax of both inputs at the node's temperature.
struct Softened {
  double temperature;
  Tensor student, teacher;

  explicit Softened(const EvaluateContext& c) : temperature(c.node().get<float>("temperature", 1.0f)) {
    if (c.input(0).dims() != c.input(1).dims()) {
      c.fail("inputs have " + to_string(c.input(0).dims()) + " and " + to_string(c.input(1).dims()) + ", expected the same shape");
    }
    student = log_softmax_of_scores(divided(c.input(0)));
    teacher = log_softmax_of_scores(divided(c.input(1)));
  }

  Tensor divided(const Tensor& logits) const {
    Tensor result(DataType::float64, logits.dims());
    const auto from = logits.to_doubles();
    const auto to = result.mutable_data<double>();
    for (size_t i = 0; i < from.size(); ++i) to[i] = from[i] / temperature;
    return result;
  }

  double rows() const { return static_cast<double>(student.size() / student.dims()[1]); }
};

void evaluate(EvaluateContext& c) {
  const Softened s(c);
  const auto log_p = s.student.data<double>(), log_q = s.teacher.data<double>();
  double sum = 0;
  for (size_t i = 0; i < log_p.size(); ++i) {
    const double q = std::exp(log_q[i]);
    if (q > 0) sum += q * (log_q[i] - log_p[i]);
  }
  c.set(0, Tensor::scalar(s.temperature * s.temperature * sum / s.rows()).cast(c.input(0).type()));
}

void gradient(GradientContext& c) {
  if (c.wants(1)) c.fail("cannot be differentiated with respect to the teacher's logits");
  if (!c.wants(0)) return;
  c.set_grad(0, c.add("SoftTargetCrossEntropyGrad", {c.input(0), c.input(1), c.grad_output()}, c.node().attributes));
}

void evaluate_grad(EvaluateContext& c) {
  const Softened s(c);
  const auto log_p = s.student.data<double>(), log_q = s.teacher.data<double>();
  Tensor result(DataType::float64, c.input(0).dims());
  const auto to = result.mutable_data<double>();
  const double factor = s.temperature * c.input(2).to_doubles().at(0) / s.rows();
  for (size_t i = 0; i < to.size(); ++i) to[i] = factor * (std::exp(log_p[i]) - std::exp(log_q[i]));
  c.set(0, result.cast(c.input(0).type()));
}

std::optional<SoftTargetProblem> problem(const LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || c.type(1) != DataType::float32 || dims != c.dims(1) || element_count(dims) == 0) return std::nullopt;
  return SoftTargetProblem{dims[0], dims[1], element_count(dims) / (dims[0] * dims[1]), c.node().get<float>("temperature", 1.0f)};
}

Operand plain(LowerContext& c, size_t i) { return c.read(i, Layout::plain(c.type(i), c.dims(i))); }

bool lower(LowerContext& c) {
  const auto p = problem(c);
  if (!p) return false;
  const Operand student = plain(c, 0), teacher = plain(c, 1), loss = c.write(0, Layout::plain(DataType::float32, {}));
  c.step(soft_target_loss(*p), {student, teacher, loss, c.scratch(static_cast<size_t>(p->count()) * 2 * sizeof(float))}, "loop");
  return true;
}

bool lower_grad(LowerContext& c) {
  const auto p = problem(c);
  if (!p || element_count(c.dims(2)) != 1) return false;
  const Operand student = plain(c, 0), teacher = plain(c, 1), dy = plain(c, 2);
  const Operand dx = c.write(0, Layout::plain(DataType::float32, c.dims(0)));
  c.step(soft_target_backward(*p), {student, teacher, dy, dx, c.scratch(static_cast<size_t>(p->count()) * sizeof(float))}, "loop");
  return true;
}

}  // namespace

extern const Op soft_target_cross_entropy, soft_target_cross_entropy_grad;

/// SoftTargetCrossEntropy(logits [N, C, d...], target_logits) {temperature T} -> []: the distillation loss
/// T^2 * mean over N, d of KL(softmax(target_logits / T) || softmax(logits / T)), classes on axis 1, in nats.
/// Source: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".
const Op soft_target_cross_entropy = {
    .name = "SoftTargetCrossEntropy",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
};

/// SoftTargetCrossEntropyGrad(logits, target_logits, dy) {temperature} -> dlogits:
/// dy * T / rows * (softmax(logits / T) - softmax(target_logits / T)).
const Op soft_target_cross_entropy_grad = {
    .name = "SoftTargetCrossEntropyGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
};

}  // namespace espalier::ops
