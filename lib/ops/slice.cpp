#include <algorithm>
#include <limits>
#include <numeric>

#include "lib/ops/boxes.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr int kInputsSince = 10;

struct Cut {
  int64_t start, end, step;
};

/// The cut's indices into an axis, as ONNX (and Python) clamp them.
std::vector<int64_t> indices(Cut cut, int64_t size) {
  const auto wrapped = [size](int64_t at) { return at < 0 ? at + size : at; };
  std::vector<int64_t> result;
  if (size == 0) return result;
  if (cut.step > 0) {
    const int64_t start = std::clamp<int64_t>(wrapped(cut.start), 0, size);
    const int64_t end = std::clamp<int64_t>(wrapped(cut.end), 0, size);
    for (int64_t i = start; i < end; i += std::min(cut.step, size)) result.push_back(i);
  } else {
    const int64_t start = std::clamp<int64_t>(wrapped(cut.start), 0, size - 1);
    const int64_t end = std::clamp<int64_t>(wrapped(cut.end), -1, size - 1);
    for (int64_t i = start; i > end; i += std::max(cut.step, -size)) result.push_back(i);
  }
  return result;
}

/// Number of indices without making them: an axis may claim 2^60 elements.
int64_t index_count(Cut cut, int64_t size) {
  const auto wrapped = [size](int64_t at) { return at < 0 ? at + size : at; };
  if (size == 0) return 0;
  const bool forward = cut.step > 0;
  const int64_t start = std::clamp<int64_t>(wrapped(cut.start), 0, forward ? size : size - 1);
  const int64_t end = std::clamp<int64_t>(wrapped(cut.end), forward ? 0 : -1, forward ? size : size - 1);
  const int64_t span = forward ? end - start : start - end;
  if (span <= 0) return 0;
  const uint64_t step = forward ? static_cast<uint64_t>(cut.step) : uint64_t{0} - static_cast<uint64_t>(cut.step);
  return static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / step + 1);
}

/// Size of the cut of an axis of symbolic size, taking it to be large enough for the constants in the cut.
Dim cut_size(Cut cut, const Dim& size) {
  if (size.known()) return index_count(cut, size.value());
  const bool to_end = cut.end >= std::numeric_limits<int32_t>::max();
  if (cut.step == -1 && cut.start == -1 && cut.end <= std::numeric_limits<int32_t>::min()) return size;
  if (cut.step < 1) return {};
  Dim span;
  if (to_end) span = cut.start >= 0 ? size - cut.start : (cut.start == -1 ? Dim(1) : Dim());
  else if (cut.start >= 0 && cut.end < 0) span = size + cut.end - cut.start;
  else if ((cut.start < 0) == (cut.end < 0) && cut.end <= cut.start) span = 0;
  else if (cut.start == 0 && cut.end == 1) span = 1;
  return span.unknown() ? span : floor_div(span + (cut.step - 1), cut.step);
}

/// starts, ends, axes and steps as lists; axes and steps are filled in.
struct Cuts {
  std::vector<int64_t> starts, ends, axes, steps;
};

void fill_in(Cuts& cuts, const std::optional<std::vector<int64_t>>& axes, const std::optional<std::vector<int64_t>>& steps) {
  cuts.steps = steps ? *steps : std::vector<int64_t>(cuts.starts.size(), 1);
  if (axes) {
    cuts.axes = *axes;
  } else {
    for (size_t i = 0; i < cuts.starts.size(); ++i) cuts.axes.push_back(static_cast<int64_t>(i));
  }
}

void validate(const InferContext& c, const Cuts& cuts) {
  const size_t n = cuts.starts.size();
  if (cuts.ends.size() != n || cuts.axes.size() != n || cuts.steps.size() != n) {
    c.fail("starts, ends, axes and steps have " + std::to_string(n) + ", " + std::to_string(cuts.ends.size()) + ", " +
           std::to_string(cuts.axes.size()) + " and " + std::to_string(cuts.steps.size()) + " elements, expected equally many");
  }
  if (std::count(cuts.steps.begin(), cuts.steps.end(), 0)) c.fail("a step is 0");
}

/// What can be said where only the axes are known: the sizes of all others. An end that is symbolic but equals the axis'
/// size (shape arithmetic on the same tensor) leaves a full or shifted axis.
SymbolicDims loosely(const InferContext& c, const std::vector<int64_t>& axes) {
  SymbolicDims dims = c.dims(0);
  const auto starts = c.numbers(1), ends = c.numbers(2), steps = c.numbers(4);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& dim = dims[c.axis(axes[i], c.rank(0))];
    const bool plain = starts && ends && i < starts->size() && i < ends->size() && (!c.has_input(4) || (steps && (*steps)[i].is(1)));
    if (!plain) {
      dim = Dim();
      continue;
    }
    const Dim& start = (*starts)[i];
    const Dim& end = (*ends)[i];
    const bool from_known = start.known() && start.value() >= 0;
    if (from_known && end.known()) dim = cut_size({start.value(), end.value(), 1}, dim);
    else if (from_known && !end.known()) dim = end - start;  // symbolic ends are sizes
    else if (!start.known() && end.known() && end.value() >= std::numeric_limits<int32_t>::max()) dim = dim - start;
    else dim = end - start;
  }
  return dims;
}

void infer_without_cuts(InferContext& c) {
  std::optional<std::vector<int64_t>> axes = c.integers(3);
  if (!c.has_input(3) && c.has_rank(1) && c.dims(1)[0].known()) {
    axes.emplace(unknown_dims(c, c.dims(1)[0].value()).size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  c.set(0, c.elem_type(0), axes ? loosely(c, *axes) : SymbolicDims(c.rank(0)));
}

void infer_numbers(InferContext& c, const Cuts& cuts) {
  const auto numbers = c.rank(0) == 1 ? c.numbers(0) : std::nullopt;
  if (!numbers) return;
  std::vector<Dim> result = *numbers;
  for (size_t i = 0; i < cuts.axes.size(); ++i) {
    std::vector<Dim> next;
    for (const int64_t at : indices({cuts.starts[i], cuts.ends[i], cuts.steps[i]}, static_cast<int64_t>(result.size()))) {
      next.push_back(result[at]);
    }
    result = std::move(next);
  }
  c.set_numbers(0, std::move(result));
}

void infer(InferContext& c) {
  if (c.version() < kInputsSince) c.require_inputs(1, 1);
  else c.require_inputs(3, 5);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  bool unknown[4];
  const auto starts = c.integers_from("starts", 1, kInputsSince, &unknown[0]);
  const auto ends = c.integers_from("ends", 2, kInputsSince, &unknown[1]);
  const auto axes = c.integers_from("axes", 3, kInputsSince, &unknown[2]);
  const auto steps = c.integers_from("steps", 4, kInputsSince, &unknown[3]);
  if (unknown[0] || unknown[1] || unknown[2] || unknown[3]) return infer_without_cuts(c);
  if (!starts || !ends) c.fail("has no starts or ends");
  Cuts cuts{*starts, *ends, {}, {}};
  fill_in(cuts, axes, steps);
  validate(c, cuts);
  SymbolicDims dims = c.dims(0);
  for (size_t i = 0; i < cuts.axes.size(); ++i) {
    Dim& dim = dims[c.axis(cuts.axes[i], c.rank(0))];
    dim = cut_size({cuts.starts[i], cuts.ends[i], cuts.steps[i]}, dim);
  }
  infer_numbers(c, cuts);
  c.set(0, c.elem_type(0), std::move(dims));
}

void evaluate(EvaluateContext& c) {
  Cuts cuts{*c.integers_from("starts", 1, kInputsSince), *c.integers_from("ends", 2, kInputsSince), {}, {}};
  fill_in(cuts, c.integers_from("axes", 3, kInputsSince), c.integers_from("steps", 4, kInputsSince));
  Tensor out = c.input(0);
  for (size_t i = 0; i < cuts.axes.size(); ++i) {  // one after the other: an axis may stand twice
    AxisIndices at = all_indices(out.dims());
    auto& axis = at[normalize_axis(cuts.axes[i], out.rank())];
    axis = indices({cuts.starts[i], cuts.ends[i], cuts.steps[i]}, static_cast<int64_t>(axis.size()));
    out = take(out, at);
  }
  c.set(0, std::move(out));
}

Cost cost(const InferContext& c) {
  return {.bytes = checked_mul(2, byte_count(c.elem_type(0), *c.output(0).type.known_dims()))};
}

/// Starts, ends, axes and steps where they are all constant.
std::optional<Cuts> constant_cuts(const LowerContext& c) {
  bool unknown = false, any_unknown = false;
  const auto read = [&](const char* name, size_t i) {
    const auto list = c.facts().integers_from(name, i, kInputsSince, &unknown);
    any_unknown |= unknown;
    return list;
  };
  const auto starts = read("starts", 1), ends = read("ends", 2), axes = read("axes", 3);
  const auto steps = c.node().version < kInputsSince ? std::nullopt : read("steps", 4);
  if (!starts || !ends || any_unknown) return std::nullopt;
  Cuts cuts{*starts, *ends, {}, {}};
  fill_in(cuts, axes, steps);
  return cuts;
}

/// Any steps, any type: one axis of positions a constant distance apart.
bool lower_steps(LowerContext& c, const Cuts& cuts) {
  const Dims dims = c.dims(0), out = c.output_dims(0), strides = row_major_strides(dims);
  if (!is_movable(c, 0)) return false;
  std::vector<MoveAxis> axes;
  for (size_t a = 0; a < dims.size(); ++a) axes.push_back({dims[a], strides[a], {}});
  int64_t offset = 0;
  for (size_t i = 0; i < cuts.axes.size(); ++i) {  // an axis may stand twice
    MoveAxis& axis = axes[normalize_axis(cuts.axes[i], static_cast<int64_t>(dims.size()))];
    const auto index = indices({cuts.starts[i], cuts.ends[i], cuts.steps[i]}, axis.size);
    if (index.empty()) return false;
    offset += index.front() * axis.stride;
    axis = {static_cast<int64_t>(index.size()), axis.stride * (index.size() > 1 ? index[1] - index[0] : 1), {}};
  }
  return lower_move(c, 0, std::move(axes), offset);
}

/// A cut with steps of 1 is a box.
bool lower(LowerContext& c) {
  const auto cuts = constant_cuts(c);
  if (!cuts) return false;
  const Dims dims = c.dims(0);
  Dims offsets(dims.size(), 0), seen(dims.size(), 0);
  bool box = c.type(0) == DataType::float32 && dims.size() <= 6;
  for (size_t i = 0; i < cuts->axes.size(); ++i) {
    box = box && cuts->steps[i] == 1;
    const int64_t axis = normalize_axis(cuts->axes[i], static_cast<int64_t>(dims.size())), size = dims[axis];
    box = box && seen[axis]++ == 0;
    offsets[axis] = std::clamp<int64_t>(cuts->starts[i] < 0 ? cuts->starts[i] + size : cuts->starts[i], 0, size);
  }
  if (box && lower_cut(c, 0, {{0, offsets}})) return true;
  return lower_steps(c, *cuts);
}

void gradient(GradientContext& c) {
  std::vector<ValueId> inputs = {c.input(0)};
  const char* const names[] = {"starts", "ends", "axes", "steps"};
  for (size_t i = 0; i < 4; ++i) {
    const auto given = c.node().get<std::vector<int64_t>>(names[i], {});
    const bool from_attribute = c.node().version < kInputsSince && !given.empty();
    inputs.push_back(from_attribute ? integers(c, given) : c.input(i + 1));
  }
  inputs.push_back(c.grad_output());
  c.set_grad(0, c.add("SliceGrad", std::move(inputs)));
}

}  // namespace

extern const Op slice;
const Op slice = {
    .name = "Slice",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::slice,
    .cut = cuts::slice,
    .cost = cost,
};

}  // namespace espalier::ops
