#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/cost.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// `perm`, or all axes reversed where it is absent.
std::vector<int64_t> perm_of(const Node& node, int64_t rank) {
  std::vector<int64_t> reversed;
  for (int64_t axis = rank; axis-- > 0;) reversed.push_back(axis);
  return node.get("perm", std::move(reversed));
}

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  const auto perm = perm_of(c.node(), c.rank(0));
  std::vector<bool> seen(c.rank(0), false);
  SymbolicDims dims;
  for (const int64_t axis : perm) {
    if (axis < 0 || axis >= c.rank(0) || seen[axis]) break;
    seen[axis] = true;
    dims.push_back(c.dims(0)[axis]);
  }
  if (dims.size() != perm.size() || c.rank(0) != static_cast<int64_t>(perm.size())) {
    c.fail("perm is " + to_string(perm) + ", expected a permutation of " + std::to_string(c.rank(0)) + " axes");
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

void evaluate(EvaluateContext& c) { c.set(0, permuted(c.input(0), perm_of(c.node(), c.input(0).rank()))); }

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  return lower_permute(c, dims, perm_of(c.node(), static_cast<int64_t>(dims.size())));
}

Cost cost(const InferContext& c) { return {.bytes = checked_mul(2, known_bytes(c.type(0)))}; }

/// The inverse permutation; reversing all axes is its own inverse.
void gradient(GradientContext& c) {
  const auto perm = c.node().get<std::vector<int64_t>>("perm", {});
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse.at(static_cast<size_t>(perm[i])) = static_cast<int64_t>(i);
  std::vector<Attribute> attributes;
  if (!perm.empty()) attributes.push_back({"perm", inverse, {}});
  c.set_grad(0, c.add("Transpose", {c.grad_output()}, std::move(attributes)));
}

}  // namespace

extern const Op transpose;
const Op transpose = {
    .name = "Transpose",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::transpose,
    .cut = cuts::transpose,
    .cost = cost,
};

}  // namespace espalier::ops
