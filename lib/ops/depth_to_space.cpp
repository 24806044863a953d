#include "lib/ops/cost.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

bool is_depth_first(const Node& node) { return node.get<std::string>("mode", "DCR") == "DCR"; }

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
  const bool depth_first = is_depth_first(c.node());
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
  const bool depth_first = is_depth_first(c.node());
  const Tensor split = c.input(0).reshaped({d[0], d[1], d[2] / b, b, d[3] / b, b});
  const Tensor blocks = depth_first ? permuted(split, {0, 3, 5, 1, 2, 4}) : permuted(split, {0, 1, 3, 5, 2, 4});
  c.set(0, blocks.reshaped({d[0], d[1] * b * b, d[2] / b, d[3] / b}));
}

bool lower_depth_to_space(LowerContext& c) {
  const Dims d = c.dims(0);
  const auto b = c.node().require<int64_t>("blocksize");
  const int64_t channels = d[1] / (b * b);
  if (is_depth_first(c.node())) return lower_permute(c, {d[0], b, b, channels, d[2], d[3]}, {0, 3, 4, 1, 5, 2});
  return lower_permute(c, {d[0], channels, b, b, d[2], d[3]}, {0, 1, 4, 2, 5, 3});
}

bool lower_space_to_depth(LowerContext& c) {
  const Dims d = c.dims(0);
  const auto b = c.node().require<int64_t>("blocksize");
  const Dims split = {d[0], d[1], d[2] / b, b, d[3] / b, b};
  if (is_depth_first(c.node())) return lower_permute(c, split, {0, 3, 5, 1, 2, 4});
  return lower_permute(c, split, {0, 1, 3, 5, 2, 4});
}

Cost cost(const InferContext& c) { return {.bytes = checked_mul(2, known_bytes(c.type(0)))}; }

/// SpaceToDepth has no CRD; the internal form has.
void depth_to_space_gradient(GradientContext& c) {
  std::vector<Attribute> attributes = {{"blocksize", c.node().require<int64_t>("blocksize"), {}}};
  if (is_depth_first(c.node())) return c.set_grad(0, c.add("SpaceToDepth", {c.grad_output()}, std::move(attributes)));
  attributes.push_back({"mode", std::string("CRD"), {}});
  c.set_grad(0, c.add("DepthToSpaceGrad", {c.grad_output()}, std::move(attributes)));
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
    .lower = lower_depth_to_space,
    .gradient = depth_to_space_gradient,
    .units = units::depth_to_space,
    .cut = cuts::depth_to_space,
    .cost = cost,
};

extern const Op space_to_depth;
const Op space_to_depth = {
    .name = "SpaceToDepth",
    .infer = infer_space_to_depth,
    .evaluate = evaluate_space_to_depth,
    .lower = lower_space_to_depth,
    .gradient = space_to_depth_gradient,
    .units = units::depth_to_space,
    .cut = cuts::depth_to_space,
    .cost = cost,
};

extern const Op depth_to_space_grad_op;
/// DepthToSpaceGrad(dy) {blocksize, mode} -> dx: SpaceToDepth in either order of channels.
const Op depth_to_space_grad_op = {
    .name = "DepthToSpaceGrad",
    .domain = kInternalDomain,
    .infer = infer_space_to_depth,
    .evaluate = evaluate_space_to_depth,
    .lower = lower_space_to_depth,
};

}  // namespace espalier::ops
