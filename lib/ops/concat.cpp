#include "lib/ops/boxes.h"
#include "lib/ops/cost.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

int64_t axis_of(const Node& node) {
  return node.version < 4 ? node.get<int64_t>("axis", 1) : node.require<int64_t>("axis");
}

/// `to` made as known as `other` lets it be; fails where they contradict.
void unify(const InferContext& c, Dim& to, const Dim& other, size_t axis) {
  if (to.known() && other.known() && to.value() != other.value()) {
    c.fail("inputs differ in axis " + std::to_string(axis) + ": " + to.str() + " and " + other.str());
  }
  if (other.known() || to.unknown()) to = other;
}

void infer_numbers(InferContext& c) {
  std::vector<Dim> all;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const auto part = c.numbers(i);
    if (!part) return;
    all.insert(all.end(), part->begin(), part->end());
  }
  c.set_numbers(0, std::move(all));
}

void infer(InferContext& c) {
  c.require_inputs(1, c.input_count());
  const DataType type = c.elem_type(0);
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
    const bool known = c.elem_type(i) != DataType::undefined && type != DataType::undefined;
    if (known && c.elem_type(i) != type) {
      c.fail("input " + std::to_string(i) + " is " + c.type(i).str() + ", input 0 is " + c.type(0).str());
    }
    if (!c.has_rank(i)) {
      c.set(0, Type::tensor(type));
      return;
    }
  }
  SymbolicDims dims = c.dims(0);
  const int64_t axis = c.axis(axis_of(c.node()), c.rank(0));
  for (size_t i = 1; i < c.input_count(); ++i) {
    c.require_rank(i, c.rank(0), c.rank(0));
    for (size_t a = 0; a < dims.size(); ++a) {
      if (static_cast<int64_t>(a) == axis) dims[a] = dims[a] + c.dims(i)[a];
      else unify(c, dims[a], c.dims(i)[a], a);
    }
  }
  if (dims.size() == 1 && is_integer(type)) infer_numbers(c);
  c.set(0, type, std::move(dims));
}

void evaluate(EvaluateContext& c) {
  const int64_t axis = normalize_axis(axis_of(c.node()), c.input(0).rank());
  Dims dims = c.input(0).dims();
  for (size_t i = 1; i < c.input_count(); ++i) dims[axis] += c.input(i).dims()[axis];
  Tensor out(c.input(0).type(), dims);
  const int64_t outer = element_count({dims.begin(), dims.begin() + axis});
  const int64_t inner = element_count({dims.begin() + axis + 1, dims.end()});
  int64_t at = 0;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const int64_t piece = c.input(i).dims()[axis] * inner;
    for (int64_t o = 0; o < outer; ++o) copy_elements(c.input(i), o * piece, out, o * dims[axis] * inner + at, piece);
    at += piece;
  }
  c.set(0, std::move(out));
}

bool lower(LowerContext& c) {
  const int64_t axis = normalize_axis(axis_of(c.node()), static_cast<int64_t>(c.dims(0).size()));
  std::vector<Box> boxes;
  Dims at(c.dims(0).size(), 0);
  for (size_t i = 0; i < c.node().inputs.size(); ++i) {
    const Dims dims = c.dims(i);
    if (dims[axis] == 0) continue;
    boxes.push_back({i, at});
    at[axis] += dims[axis];
  }
  return lower_join(c, boxes, 0);
}

void gradient(GradientContext& c) {
  std::vector<ValueId> inputs = c.node().inputs;
  const size_t parts = inputs.size();
  inputs.insert(inputs.begin(), c.grad_output());
  const auto grads = c.add_many("ConcatGrad", std::move(inputs), parts, {{"axis", axis_of(c.node()), {}}});
  for (size_t i = 0; i < parts; ++i) c.set_grad(i, grads[i]);
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op concat;
const Op concat = {
    .name = "Concat",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::concat,
    .cut = cuts::concat,
    .cost = cost,
};

}  // namespace espalier::ops
