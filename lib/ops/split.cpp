#include <numeric>

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

/// Sizes of the parts where none are given: equal; from version 18 on the last may be smaller. Empty where it cannot be.
std::vector<int64_t> equal_parts(int64_t size, int64_t parts, int version) {
  if (parts <= 0 || (version < 18 && size % parts != 0)) return {};
  const int64_t part = (size + parts - 1) / parts;
  std::vector<int64_t> sizes(parts, part);
  sizes.back() = size - part * (parts - 1);
  return sizes.back() < 0 ? std::vector<int64_t>{} : sizes;
}

/// Where the sizes stand: an attribute before version 13 (an input was possible in 1), an input from then on.
int input_since(const Node& node) { return node.version == 1 && node.has_input(1) ? 1 : 13; }

void check_num_outputs(const InferContext& c) {
  const auto given = c.node().get<int64_t>("num_outputs", static_cast<int64_t>(c.output_count()));
  if (given != static_cast<int64_t>(c.output_count())) {
    c.fail("has " + std::to_string(c.output_count()) + " outputs, but num_outputs is " + std::to_string(given));
  }
}

SymbolicDims parts_of(const InferContext& c, const Dim& size) {
  bool unknown = false;
  const auto given = c.integers_from("split", 1, input_since(c.node()), &unknown);
  const size_t count = c.output_count();
  if (unknown) return SymbolicDims(count);
  if (!given) {
    if (!size.known()) {
      const auto part = exact_div(size, static_cast<int64_t>(count));
      return SymbolicDims(count, part ? *part : Dim());
    }
    const auto parts = equal_parts(size.value(), static_cast<int64_t>(count), c.version());
    if (parts.size() != count) c.fail("cannot split " + size.str() + " into " + std::to_string(count) + " equal parts");
    return to_symbolic(parts);
  }
  if (given->size() != count) {
    c.fail("has " + std::to_string(count) + " outputs, but " + std::to_string(given->size()) + " sizes");
  }
  int64_t sum = 0;
  for (const int64_t part : *given) {
    if (part < 0) c.fail("has a part of size " + std::to_string(part));
    sum = checked_add(sum, part);
  }
  if (size.known() && size.value() != sum) c.fail("parts sum to " + std::to_string(sum) + ", expected " + size.str());
  return to_symbolic(*given);
}

void infer(InferContext& c) {
  c.require_inputs(1, 2);
  check_num_outputs(c);
  for (size_t i = 0; i < c.output_count(); ++i) c.set(i, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(0));
  const SymbolicDims parts = parts_of(c, c.dims(0)[axis]);
  const auto numbers = c.rank(0) == 1 ? c.numbers(0) : std::nullopt;
  int64_t at = 0;
  for (size_t i = 0; i < c.output_count(); ++i) {
    SymbolicDims dims = c.dims(0);
    dims[axis] = parts[i];
    c.set(i, c.elem_type(0), std::move(dims));
    if (!numbers || !parts[i].known()) continue;
    c.set_numbers(i, {numbers->begin() + at, numbers->begin() + at + parts[i].value()});
    at += parts[i].value();
  }
}

void evaluate(EvaluateContext& c) {
  const Tensor& in = c.input(0);
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), in.rank());
  const auto given = c.integers_from("split", 1, input_since(c.node()));
  const auto parts = given ? *given : equal_parts(in.dims()[axis], static_cast<int64_t>(c.output_count()), c.version());
  AxisIndices at = all_indices(in.dims());
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    at[axis].resize(parts[i]);
    std::iota(at[axis].begin(), at[axis].end(), begin);
    begin += parts[i];
    if (c.has_output(i)) c.set(i, take(in, at));
  }
}

bool lower(LowerContext& c) {
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), static_cast<int64_t>(c.dims(0).size()));
  std::vector<Box> boxes;
  Dims at(c.dims(0).size(), 0);
  for (size_t i = 0; i < c.node().outputs.size(); ++i) {
    if (!c.has_output(i)) return false;  // its size is not at hand
    boxes.push_back({i, at});
    at[axis] += c.output_dims(i)[axis];
  }
  return lower_cut(c, 0, boxes);
}

/// Sizes of all parts, as far as they are known without running.
std::vector<int64_t> constant_parts(const GradientContext& c, int64_t axis) {
  if (c.node().has("split")) return c.node().get<std::vector<int64_t>>("split", {});
  if (c.input(1) != kNone) return c.constant(c.input(1)) ? c.constant(c.input(1))->to_int64s() : std::vector<int64_t>{};
  const Dim& size = (*c.type(c.input(0)).dims)[static_cast<size_t>(axis)];
  return size.known() ? equal_parts(size.value(), static_cast<int64_t>(c.node().outputs.size()), c.node().version) : std::vector<int64_t>{};
}

/// What stands in the place of part i, which is not an output.
ValueId omitted_part(GradientContext& c, size_t i) {
  const Type& type = c.type(c.input(0));
  if (!type.has_rank()) c.fail("cannot be differentiated: output " + std::to_string(i) + " is omitted, and the input's rank is unknown");
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), type.rank());
  const auto parts = constant_parts(c, axis);
  if (parts.size() != c.node().outputs.size()) c.fail("cannot be differentiated: output " + std::to_string(i) + " is omitted, and its size is not constant");
  const int64_t begin = std::accumulate(parts.begin(), parts.begin() + static_cast<int64_t>(i), int64_t{0});
  return c.add("Slice", {c.input(0), integers(c, {begin}), integers(c, {begin + parts[i]}), integers(c, {axis})});
}

void gradient(GradientContext& c) {
  std::vector<ValueId> parts;
  for (size_t i = 0; i < c.node().outputs.size(); ++i) {
    const ValueId grad = c.grad_output(i), part = c.output(i);
    parts.push_back(grad != kNone ? grad : c.add("ExpandLike", {c.scalar(0, c.input(0)), part != kNone ? part : omitted_part(c, i)}));
  }
  c.set_grad(0, c.add("Concat", std::move(parts), {{"axis", c.node().get<int64_t>("axis", 0), {}}}));
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op split;
const Op split = {
    .name = "Split",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::split,
    .cut = cuts::split,
    .cost = cost,
};

}  // namespace espalier::ops
