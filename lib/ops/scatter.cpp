// Scatter, ScatterElements, ScatterND: data with some elements replaced by updates, or combined with them.

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

/// Types, and the reduction's name.
void infer_common(InferContext& c) {
  c.require_inputs(3, 3);
  require_same_type(c, 0, 2);
  const Reduction reduction = reduction_of(c.node());
  const DataType type = c.elem_type(0);
  if (reduction != Reduction::none && type != DataType::undefined && !is_numeric(type) && !is_boolean(type)) {
    c.fail("cannot reduce " + std::string(name(type)));
  }
  c.require_rank(0, 1, static_cast<int64_t>(kMaxRank));
  c.set(0, c.type(0));
}

void agree(const InferContext& c, const Dim& a, const Dim& b, const std::string& what) {
  if (a.known() && b.known() && !(a == b)) c.fail(what + ": " + a.str() + " and " + b.str());
}

void infer_elements(InferContext& c) {
  infer_common(c);
  require_index_type(c, 1);
  if (!c.has_rank(0)) return;
  const int64_t rank = c.rank(0), axis = c.axis(c.node().get<int64_t>("axis", 0), rank);
  for (const size_t i : {size_t{1}, size_t{2}}) c.require_rank(i, rank, rank);
  for (int64_t a = 0; a < rank; ++a) {
    if (c.has_rank(1) && c.has_rank(2)) agree(c, c.dims(1)[a], c.dims(2)[a], "indices and updates differ in axis " + std::to_string(a));
    const bool both = c.has_rank(1) && c.dims(1)[a].known() && c.dims(0)[a].known();
    if (a != axis && both && c.dims(1)[a].value() > c.dims(0)[a].value()) {
      c.fail("indices are larger than the data in axis " + std::to_string(a) + ": " + c.dims(1)[a].str() + " and " + c.dims(0)[a].str());
    }
  }
}

void infer_nd(InferContext& c) {
  infer_common(c);
  require_index_type(c, 1, false);
  c.require_rank(1, 1, static_cast<int64_t>(kMaxRank));
  if (!c.has_rank(0) || !c.has_rank(1) || !c.dims(1).back().known()) return;
  const int64_t width = c.dims(1).back().value(), rank = c.rank(0);
  if (width < 0 || width > rank) c.fail("indices have tuples of " + std::to_string(width) + ", expected at most " + std::to_string(rank));
  SymbolicDims expected(c.dims(1).begin(), c.dims(1).end() - 1);
  expected.insert(expected.end(), c.dims(0).begin() + width, c.dims(0).end());
  c.require_rank(2, static_cast<int64_t>(expected.size()), static_cast<int64_t>(expected.size()));
  for (size_t a = 0; c.has_rank(2) && a < expected.size(); ++a) {
    agree(c, c.dims(2)[a], expected[a], "updates differ in axis " + std::to_string(a) + " from indices and data");
  }
}

void evaluate_elements(EvaluateContext& c) {
  const Tensor& data = c.input(0);
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), data.rank());
  c.set(0, scattered(data, element_positions(c, data.dims(), c.input(1), axis), c.input(2), reduction_of(c.node())));
}

void evaluate_nd(EvaluateContext& c) {
  const Tensor& data = c.input(0);
  c.set(0, scattered(data, positions_of(tuple_runs(c, data.dims(), c.input(1), 0)), c.input(2), reduction_of(c.node())));
}

Combine combine_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::add: return Combine::add;
    case Reduction::mul: return Combine::mul;
    case Reduction::max: return Combine::max;
    case Reduction::min: return Combine::min;
    default: return Combine::replace;
  }
}

bool lower(LowerContext& c, Indexing::Kind kind, int64_t axis) {
  return lower_scatter(c, kind, axis, combine_of(reduction_of(c.node())));
}

bool lower_elements(LowerContext& c) {
  return lower(c, Indexing::Kind::elements, normalize_axis(c.node().get<int64_t>("axis", 0), static_cast<int64_t>(c.dims(0).size())));
}

bool lower_nd(LowerContext& c) {
  if (c.dims(1).back() == 0) return false;
  return lower(c, Indexing::Kind::tuples, 0);
}

/// Replaced elements have no gradient; the updates' is what stands where they went.
void gradient(GradientContext& c, const char* scatter, const char* gather, const std::vector<Attribute>& axis) {
  const Reduction reduction = reduction_of(c.node());
  const ValueId indices = c.input(1), updates = c.input(2), dy = c.grad_output();
  if (reduction == Reduction::none || reduction == Reduction::add) {
    if (c.wants(0)) {
      const ValueId zeros = reduction == Reduction::none ? c.add("ExpandLike", {c.scalar(0, updates), updates}) : kNone;
      c.set_grad(0, reduction == Reduction::none ? c.add(scatter, {dy, indices, zeros}, axis) : dy);
    }
    if (c.wants(2)) c.set_grad(2, c.add(gather, {dy, indices}, axis));
    return;
  }
  std::vector<Attribute> attributes = axis;
  attributes.push_back({"tuples", int64_t{axis.empty()}, {}});
  attributes.push_back({"reduction", c.node().require<std::string>("reduction"), {}});
  const auto grads = c.add_many("ScatterReductionGrad", {c.input(0), indices, updates, c.output(), dy}, 2, std::move(attributes));
  if (c.wants(0)) c.set_grad(0, grads[0]);
  if (c.wants(2)) c.set_grad(2, grads[1]);
}

void gradient_elements(GradientContext& c) {
  gradient(c, "ScatterElements", "GatherElements", {{"axis", c.node().get<int64_t>("axis", 0), {}}});
}

void gradient_nd(GradientContext& c) { gradient(c, "ScatterND", "GatherND", {}); }

/// The data once through, the updates onto it.
Cost cost(const InferContext& c) {
  const int64_t moved = checked_mul(2, checked_add(known_bytes(c.type(0)), known_bytes(c.type(2))));
  return {.bytes = checked_add(moved, known_bytes(c.type(1)))};
}

}  // namespace

extern const Op scatter, scatter_elements, scatter_nd;

/// The name of ScatterElements before version 11.
const Op scatter = {
    .name = "Scatter",
    .since = 9,
    .until = 10,
    .infer = infer_elements,
    .evaluate = evaluate_elements,
    .lower = lower_elements,
    .gradient = gradient_elements,
    .units = units::scatter_elements,
    .cut = cuts::scatter_elements,
    .cost = cost,
};

const Op scatter_elements = {
    .name = "ScatterElements",
    .since = 11,
    .infer = infer_elements,
    .evaluate = evaluate_elements,
    .lower = lower_elements,
    .gradient = gradient_elements,
    .units = units::scatter_elements,
    .cut = cuts::scatter_elements,
    .cost = cost,
};

const Op scatter_nd = {
    .name = "ScatterND",
    .since = 11,
    .infer = infer_nd,
    .evaluate = evaluate_nd,
    .lower = lower_nd,
    .gradient = gradient_nd,
    .units = units::scatter_nd,
    .cut = cuts::scatter_nd,
    .cost = cost,
};

}  // namespace espalier::ops
