#include <algorithm>
#include <numeric>

#include "lib/base/error.h"
#include "lib/ops/bodies.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer_concat(InferContext& c) {
  c.require_inputs(1, 1);
  require_kind(c, 0, Type::Kind::sequence);
  const int64_t axis = c.node().require<int64_t>("axis"), new_axis = c.node().get("new_axis", int64_t{0});
  if (new_axis != 0 && new_axis != 1) c.fail("new_axis is " + std::to_string(new_axis) + ", expected 0 or 1");
  Type type = c.type(0).element ? *c.type(0).element : Type();
  if (type.has_rank()) {
    const int64_t at = c.axis(axis, type.rank() + new_axis);
    if (new_axis == 1) type.dims->insert(type.dims->begin() + at, Dim());
    else (*type.dims)[static_cast<size_t>(at)] = Dim();
  }
  c.set(0, std::move(type));
}

void evaluate_concat(EvaluateContext& c) {
  const HostValue sequence = c.value(0);
  if (!sequence.is_sequence() || sequence.elements().empty()) c.fail("the sequence is empty");
  std::vector<Tensor> tensors;
  for (const HostValue& v : sequence.elements()) tensors.push_back(v.tensor());
  const bool new_axis = c.node().get("new_axis", int64_t{0}) == 1;
  const int64_t axis = normalize_axis(c.node().require<int64_t>("axis"), tensors[0].rank() + (new_axis ? 1 : 0));
  c.set(0, new_axis ? stacked(tensors, axis) : concatenated(tensors, axis));
}

/// Lengths of the parts of an axis of n, by the operand `split` (one length, or one a part); 1 where it is absent.
std::vector<int64_t> lengths(const EvaluateContext& c, int64_t n) {
  const bool one = !c.has_input(1) || c.input(1).rank() == 0;
  std::vector<int64_t> result;
  if (!one) {
    result = c.input(1).to_int64s();
    int64_t sum = 0;
    for (const int64_t length : result) {
      if (length < 0) c.fail("split holds " + std::to_string(length) + ", expected positive numbers");
      sum = checked_add(sum, length);
    }
    if (sum != n) c.fail("split sums to " + std::to_string(sum) + ", expected " + std::to_string(n));
    return result;
  }
  const int64_t length = c.has_input(1) ? c.input(1).to_int64s()[0] : 1;
  if (length < 1) c.fail("split is " + std::to_string(length) + ", expected a positive number");
  for (int64_t at = 0; at < n; at += length) result.push_back(std::min(length, n - at));
  return result;
}

/// The size that all parts have along the axis, if that is known.
Dim part_size(const InferContext& c, const Dim& along) {
  if (!c.has_input(1)) return 1;
  const auto split = c.integers(1);
  if (!split || split->empty()) return {};
  if (c.has_rank(1) && c.rank(1) == 0) {
    return along.known() && split->front() > 0 && along.value() % split->front() == 0 ? Dim(split->front()) : Dim();
  }
  const bool equal = std::all_of(split->begin(), split->end(), [&](int64_t s) { return s == split->front(); });
  return equal ? Dim(split->front()) : Dim();
}

void infer_split(InferContext& c) {
  c.require_inputs(1, 2);
  require_kind(c, 0, Type::Kind::tensor);
  require_kind(c, 1, Type::Kind::tensor);
  c.require_rank(1, 0, 1);
  Type type = c.type(0);
  if (type.has_rank()) {
    const int64_t axis = c.axis(c.node().get("axis", int64_t{0}), type.rank());
    Dim& along = (*type.dims)[static_cast<size_t>(axis)];
    along = part_size(c, along);
    if (!c.has_input(1) && c.node().get("keepdims", int64_t{1}) == 0) type.dims->erase(type.dims->begin() + axis);
  }
  Type result;
  result.kind = Type::Kind::sequence;
  result.element = std::make_shared<const Type>(std::move(type));
  c.set(0, std::move(result));
}

void evaluate_split(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const int64_t axis = normalize_axis(c.node().get("axis", int64_t{0}), x.rank());
  const bool squeeze = !c.has_input(1) && c.node().get("keepdims", int64_t{1}) == 0;
  std::vector<HostValue> parts;
  int64_t at = 0;
  for (const int64_t length : lengths(c, x.dims()[static_cast<size_t>(axis)])) {
    parts.emplace_back(squeeze ? picked(x, axis, at) : part(x, axis, at, length));
    at += length;
  }
  c.set_value(0, HostValue::sequence(Type::tensor(x.type()), std::move(parts)));
}

}  // namespace

extern const Op concat_from_sequence, split_to_sequence;
const Op concat_from_sequence = {.name = "ConcatFromSequence", .since = 11, .infer = infer_concat, .evaluate = evaluate_concat};
const Op split_to_sequence = {.name = "SplitToSequence", .since = 11, .until = 24, .infer = infer_split, .evaluate = evaluate_split};

}  // namespace espalier::ops
