#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/kernels/dropout.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  c.require_rank(1, 0, 0);
  const float ratio = c.node().get<float>("ratio", 0.5f);
  if (!(ratio >= 0 && ratio < 1)) c.fail("ratio is " + std::to_string(ratio) + ", expected one in [0, 1)");
  c.set(0, c.type(0));
}

/// 1 / (1 - ratio) with probability 1 - ratio, else 0. Four elements share a draw of Philox.
void evaluate(EvaluateContext& c) {
  const float ratio = c.node().get<float>("ratio", 0.5f);
  const Random random(static_cast<uint64_t>(c.node().get<int64_t>("seed", 0)), RandomUse::dropout,
                      static_cast<uint32_t>(c.node().get<int64_t>("node", 0)));
  const auto step = static_cast<uint64_t>(c.input(1).to_int64s().at(0)) << 32;
  const Tensor x = c.input(0).cast(DataType::float64);
  Tensor y(DataType::float64, x.dims());
  const auto from = x.data<double>();
  const auto to = y.mutable_data<double>();
  parallel_for(x.size(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t word = random.words(step | static_cast<uint64_t>(i / 4))[i % 4];
      const float uniform = static_cast<float>(word >> 8) * 0x1p-24f;
      to[i] = uniform >= ratio ? from[i] / (1.0 - ratio) : 0.0;
    }
  });
  c.set(0, y.cast(c.input(0).type()));
}

bool lower(LowerContext& c) {
  Layout layout = own_layout(c, 0);
  if (c.type(0) != DataType::float32 || c.type(1) != DataType::int64 || element_count(c.dims(0)) == 0) return false;
  if (!layout.channels()) layout = Layout::plain(DataType::float32, c.dims(0));
  const DropoutProblem p{c.node().get<float>("ratio", 0.5f), static_cast<uint64_t>(c.node().get<int64_t>("seed", 0)),
                         static_cast<uint32_t>(c.node().get<int64_t>("node", 0))};
  const Operand x = c.read(0, layout), step = c.read(1, Layout::plain(DataType::int64, c.dims(1)));
  c.step(dropout(p, layout), {x, step, c.write_over(0, x, layout)}, "loop");
  return true;
}

/// The same mask, drawn again.
void gradient(GradientContext& c) {
  c.set_grad(0, c.add("DropoutTraining", {c.grad_output(), c.input(1)}, c.node().attributes));
}

}  // namespace

/// DropoutTraining(x, step) {ratio, seed, node} -> y: each element is kept with probability 1 - ratio and scaled by
/// 1 / (1 - ratio) (Srivastava et al. 2014, inverted). Element i is kept where the 24-bit uniform of word i mod 4 of
/// Random(seed, dropout, node) at index (step << 32 | i / 4) is at least `ratio`; step: int64 scalar.
extern const Op dropout_training;
const Op dropout_training = {
    .name = "DropoutTraining",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
};

}  // namespace espalier::ops
