#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"
#include "lib/ops/random_stream.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Outputs: y like x, mask like x (bool since version 10). Ratio and training_mode are inputs since version 12; the forms
/// before have no training that a file could ask for at run time, and are inference.
void infer(InferContext& c) {
  c.require_inputs(1, c.version() >= 12 ? 3 : 1);
  require_type(c, 0, is_float, "a float type");
  for (const size_t i : {1, 2}) {
    const auto dims = c.has_rank(i) ? to_known(c.dims(i)) : std::nullopt;
    if (dims && element_count(*dims) != 1) c.fail((i == 1 ? "ratio" : "training_mode") + std::string(" has shape ") + to_string(*dims) + ", expected a scalar");
  }
  c.set(0, c.type(0));
  if (!c.has_output(1)) return;
  Type mask = c.type(0);
  if (c.version() >= 10) mask.elem_type = DataType::boolean;
  c.set(1, mask);
}

double scalar(const EvaluateContext& c, size_t i, double otherwise) {
  return c.has_input(i) ? c.input(i).to_doubles().at(0) : otherwise;
}

/// Each element is kept with probability 1 - ratio and scaled by 1 / (1 - ratio). Its number is the 24-bit uniform at
/// its index of the node's Random (random_stream.h), so equal seeds give equal masks.
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const double ratio = scalar(c, 1, 0.5);
  const bool training = c.version() >= 12 && scalar(c, 2, 0) != 0;
  if (training && !(ratio >= 0 && ratio < 1)) c.fail("ratio is " + std::to_string(ratio) + ", expected one in [0, 1)");
  Tensor mask(DataType::boolean, x.dims());
  const auto kept = mask.mutable_data<bool>();
  const Random random = random_of(c.node(), RandomUse::dropout);
  for (int64_t i = 0; i < x.size(); ++i) kept[i] = !training || random.uniform(static_cast<uint64_t>(i)) >= static_cast<float>(ratio);
  if (training) {
    dispatch_float(x.type(), [&]<class T>() {
      Tensor y(x.type(), x.dims());
      const auto in = x.data<T>();
      const auto out = y.mutable_data<T>();
      for (int64_t i = 0; i < x.size(); ++i) out[i] = store<T>(kept[i] ? static_cast<double>(in[i]) / (1 - ratio) : 0.0);
      c.set(0, std::move(y));
    });
  } else {
    c.set(0, x);
  }
  if (c.has_output(1)) c.set(1, mask.cast(c.version() >= 10 ? DataType::boolean : x.type()));
}

/// Of inference. What trains is DropoutTraining.
void gradient(GradientContext& c) {
  const bool may_train = c.node().version >= 12 && c.input(2) != kNone;
  const Tensor* training = may_train ? c.constant(c.input(2)) : nullptr;
  if (may_train && !(training && training->size() == 1 && training->to_doubles()[0] == 0)) {
    c.fail("cannot be differentiated in training mode");
  }
  c.set_grad(0, c.grad_output());
}

/// In inference the identity; the mask, if read, and dropping are left to the reference.
bool lower(LowerContext& c) {
  const bool may_drop = c.node().version >= 12 && c.has_input(2) && !(c.constant(2) && c.constant(2)->to_int64s()[0] == 0);
  if (may_drop || c.has_output(1) || c.is_weight(0)) return false;
  c.alias(0, 0, c.layout(0));
  return true;
}

}  // namespace

extern const Op dropout;
const Op dropout = {
    .name = "Dropout",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .deterministic = false,
    .elementwise = true,
};

}  // namespace espalier::ops
