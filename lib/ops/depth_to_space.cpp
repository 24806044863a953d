#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"

namespace espalier::ops {
namespace {

int64_t block_of(const InferContext& c) {
  const auto block = c.node().require<int64_t>("blocksize");
  if (block < 1 || block > 1 << 20) c.fail("blocksize is " + std::to_string(block) + ", expected one above 0");
  return block;
}

/// a / b; fails where sizes are known and do not divide.
Dim divided(const InferContext& c, const Dim& a, int64_t b, const char* what) {
  if (a.known() && a.value() % b != 0) c.fail(std::string(what) + " is " + a.str() + ", expected a multiple of " + std::to_string(b));
  const auto quotient = exact_div(a, b);
  return quotient ? *quotient : Dim();
}

bool start_nchw(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 4, 4);
  c.set(0, Type::tensor(c.elem_type(0)));
  return c.has_rank(0);
}

void infer_depth_to_space(InferContext& c) {
  const auto mode = c.node().get<std::string>("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") c.fail("mode is '" + mode + "', expected DCR or CRD");
  const int64_t b = block_of(c);
  if (!start_nchw(c)) return;
  const auto& d = c.dims(0);
  c.set(0, c.elem_type(0), {d[0], divided(c, d[1], b * b, "number of channels"), d[2] * b, d[3] * b});
}

void evaluate_depth_to_space(EvaluateContext& c) {
  const Dims& d = c.input(0).dims();
  const auto b = c.node().require<int64_t>("blocksize");
  const int64_t channels = d[1] / (b * b);
  const bool depth_first = c.node().get<std::string>("mode", "DCR") == "DCR";
  const Tensor blocks = depth_first
                            ? permuted(c.input(0).reshaped({d[0], b, b, channels, d[2], d[3]}), {0, 3, 4, 1, 5, 2})
                            : permuted(c.input(0).reshaped({d[0], channels, b, b, d[2], d[3]}), {0, 1, 4, 2, 5, 3});
  c.set(0, blocks.reshaped({d[0], channels, d[2] * b, d[3] * b}));
}

void infer_space_to_depth(InferContext& c) {
  const int64_t b = block_of(c);
  if (!start_nchw(c)) return;
  const auto& d = c.dims(0);
  c.set(0, c.elem_type(0), {d[0], d[1] * (b * b), divided(c, d[2], b, "height"), divided(c, d[3], b, "width")});
}

void evaluate_space_to_depth(EvaluateContext& c) {
  const Dims& d = c.input(0).dims();
  const auto b = c.node().require<int64_t>("blocksize");
  const Tensor blocks = permuted(c.input(0).reshaped({d[0], d[1], d[2] / b, b, d[3] / b, b}), {0, 3, 5, 1, 2, 4});
  c.set(0, blocks.reshaped({d[0], d[1] * b * b, d[2] / b, d[3] / b}));
}

void depth_to_space_gradient(GradientContext& c) {
  if (c.node().get<std::string>("mode", "DCR") != "DCR") c.fail("cannot be differentiated in mode CRD");
  c.set_grad(0, c.add("SpaceToDepth", {c.grad_output()}, {{"blocksize", c.node().require<int64_t>("blocksize"), {}}}));
}

void space_to_depth_gradient(GradientContext& c) {
  c.set_grad(0, c.add("DepthToSpace", {c.grad_output()}, {{"blocksize", c.node().require<int64_t>("blocksize"), {}}}));
}

}  // namespace

extern const Op depth_to_space;
const Op depth_to_space = {
    .name = "DepthToSpace",
    .infer = infer_depth_to_space,
    .evaluate = evaluate_depth_to_space,
    .gradient = depth_to_space_gradient,
};

extern const Op space_to_depth;
const Op space_to_depth = {
    .name = "SpaceToDepth",
    .infer = infer_space_to_depth,
    .evaluate = evaluate_space_to_depth,
    .gradient = space_to_depth_gradient,
};

}  // namespace espalier::ops
