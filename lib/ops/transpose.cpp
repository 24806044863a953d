#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"

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

}  // namespace

extern const Op transpose;
const Op transpose = {.name = "Transpose", .infer = infer, .evaluate = evaluate};

}  // namespace espalier::ops
