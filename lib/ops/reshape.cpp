#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr int kShapeInputSince = 5;

/// The size that makes `dims` hold as many elements as `in`, put at `open`; the sizes at `copied` are those of `in`.
/// Sizes that stand on both sides cancel, so that symbols and copied unknown sizes do not hide the answer.
Dim remaining_size(SymbolicDims in, const SymbolicDims& dims, size_t open, const std::vector<bool>& copied) {
  SymbolicDims out;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i == open) continue;
    if (copied[i]) in[i] = 1;
    else out.push_back(dims[i]);
  }
  for (Dim& d : out) {
    const auto same = std::find_if(in.begin(), in.end(), [&](const Dim& other) { return !d.known() && other == d; });
    if (same == in.end()) continue;
    *same = 1;
    d = 1;
  }
  const auto rest = exact_div(product(in), product(out));
  return rest ? *rest : Dim();
}

/// The new shape for a requested one. Nothing where a 0 refers to an axis that is not there, where several sizes are -1,
/// or where the element counts differ.
std::optional<SymbolicDims> reshaped(const SymbolicDims& in, SymbolicDims shape, bool allowzero) {
  std::vector<bool> copied(shape.size(), false);
  size_t open = shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].is(0) && !allowzero) {
      if (i >= in.size()) return std::nullopt;
      shape[i] = in[i];
      copied[i] = true;
    } else if (shape[i].is(-1)) {
      if (open < shape.size()) return std::nullopt;
      open = i;
    } else if (shape[i].known() && shape[i].value() < 0) {
      return std::nullopt;
    }
  }
  const bool inferred = open < shape.size();
  if (!inferred) {  // one size that is not known follows from the others just as -1 does
    const auto unknown = [](const Dim& d) { return d.unknown(); };
    if (std::count_if(shape.begin(), shape.end(), unknown) == 1) {
      open = std::find_if(shape.begin(), shape.end(), unknown) - shape.begin();
    }
  }
  if (open < shape.size() && !copied[open]) shape[open] = remaining_size(in, shape, open, copied);
  const auto from = to_known(in), to = to_known(shape);
  if (from && to && element_count(*from) != element_count(*to)) return std::nullopt;
  const bool divides = !inferred || shape[open].known() || !from;
  const auto known = [](const Dim& d) { return d.known(); };
  const bool others_known = std::count_if(shape.begin(), shape.end(), known) + 1 == static_cast<int64_t>(shape.size());
  if (!divides && others_known) return std::nullopt;
  return shape;
}

bool allows_zero(const Node& node) { return node.get<int64_t>("allowzero", 0) != 0; }

std::optional<std::vector<Dim>> requested(const InferContext& c) {
  if (c.version() >= kShapeInputSince) return c.numbers(1);
  return to_symbolic(c.node().require<std::vector<int64_t>>("shape"));
}

void infer(InferContext& c) {
  if (c.version() < kShapeInputSince) c.require_inputs(1, 1);
  else c.require_inputs(2, 2);
  c.set(0, Type::tensor(c.elem_type(0)));
  const auto shape = requested(c);
  if (!shape) {
    if (c.has_rank(1) && c.rank(1) == 1 && c.dims(1)[0].known()) {
      c.set(0, c.elem_type(0), unknown_dims(c, c.dims(1)[0].value()));
    }
    return;
  }
  if (!c.has_rank(0)) {
    SymbolicDims dims = *shape;
    for (Dim& d : dims) {
      if (d.known() && (d.value() < 0 || (d.is(0) && !allows_zero(c.node())))) d = Dim();
    }
    c.set(0, c.elem_type(0), std::move(dims));
    return;
  }
  auto dims = reshaped(c.dims(0), *shape, allows_zero(c.node()));
  if (!dims) c.fail("cannot reshape " + to_string(c.dims(0)) + " to " + to_string(*shape));
  if (dims->size() <= 1) c.outputs()[0].numbers = c.numbers(0);
  c.set(0, c.elem_type(0), std::move(*dims));
}

void evaluate(EvaluateContext& c) {
  const auto shape = *c.integers_from("shape", 1, kShapeInputSince);
  const auto dims = reshaped(to_symbolic(c.input(0).dims()), to_symbolic(shape), allows_zero(c.node()));
  const auto known = dims ? to_known(*dims) : std::nullopt;
  if (!known) c.fail("cannot reshape " + to_string(c.input(0).dims()) + " to " + to_string(shape));
  c.set(0, c.input(0).reshaped(*known));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("ReshapeLike", {c.grad_output(), c.input(0)})); }

}  // namespace

extern const Op reshape;
const Op reshape = {
    .name = "Reshape",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::reshape,
    .cut = cuts::reshape,
    .is_view = true,
};

}  // namespace espalier::ops
