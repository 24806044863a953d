// Gradients of operators that move elements: the gradient goes back to where each element came from.
#include <algorithm>

#include "lib/kernels/resample.h"
#include "lib/ops/boxes.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer_first(InferContext& c) { c.set(0, c.type(0)); }

void infer_slice(InferContext& c) {
  c.require_inputs(3, 6);
  if (!c.has_input(5)) c.fail("input 5 is missing");
  infer_first(c);
}

void infer_gather(InferContext& c) {
  c.require_inputs(3, 3);
  infer_first(c);
}

void infer_pad(InferContext& c) {
  c.require_inputs(2, 2);
  infer_first(c);
}

void infer_concat(InferContext& c) {
  if (c.input_count() < c.output_count() + 1) {  // outputs at the end that nobody wants are cut off
    c.fail("has " + std::to_string(c.input_count()) + " inputs, expected at least " + std::to_string(c.output_count() + 1));
  }
  for (size_t i = 0; i < c.output_count(); ++i) {
    if (c.has_output(i)) c.set(i, c.type(i + 1));
  }
}

/// Adds `from`, walked row by row, to `to` at the flat positions that `index_of(axis, position)` gives on each axis;
/// a negative position is dropped.
template <class IndexOf>
void scatter_add(const Tensor& from, Tensor& to, IndexOf&& index_of) {
  const Dims& dims = from.dims();
  const Dims strides = row_major_strides(to.dims());
  std::vector<Dims> offsets(dims.size());  // by axis and position: the offset in `to`, or -1
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    for (int64_t i = 0; i < dims[axis]; ++i) {
      const int64_t position = index_of(axis, i);
      offsets[axis].push_back(position < 0 ? -1 : position * strides[axis]);
    }
  }
  const auto in = from.data<double>();
  const auto out = to.mutable_data<double>();
  Dims at(dims.size(), 0);
  for (int64_t i = 0; i < from.size(); ++i) {
    int64_t target = 0;
    for (size_t axis = 0; axis < dims.size() && target >= 0; ++axis) {
      const int64_t offset = offsets[axis][at[axis]];
      target = offset < 0 ? -1 : target + offset;
    }
    if (target >= 0) out[target] += in[i];
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++at[axis] < dims[axis]) break;
      at[axis] = 0;
    }
  }
}

/// First position that a slice takes on an axis of `size`, as ONNX Slice clamps it.
int64_t clamp_start(int64_t start, int64_t step, int64_t size) {
  if (start < 0) start += size;
  return step > 0 ? std::clamp<int64_t>(start, 0, size) : std::clamp<int64_t>(start, 0, std::max<int64_t>(0, size - 1));
}

void slice_grad(EvaluateContext& c) {
  const Tensor dy = c.input(5).cast(DataType::float64);
  Tensor dx(DataType::float64, c.input(0).dims());
  const auto starts = c.input(1).to_int64s();
  Dims first(dx.rank(), 0), step(dx.rank(), 1);
  const auto axes = c.has_input(3) ? c.input(3).to_int64s() : std::vector<int64_t>{};
  const auto steps = c.has_input(4) ? c.input(4).to_int64s() : std::vector<int64_t>{};
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = normalize_axis(axes.empty() ? static_cast<int64_t>(i) : axes.at(i), dx.rank());
    if (!steps.empty()) step[axis] = steps.at(i);
    first[axis] = clamp_start(starts[i], step[axis], dx.dims()[axis]);
  }
  scatter_add(dy, dx, [&](size_t axis, int64_t i) { return first[axis] + i * step[axis]; });
  c.set(0, dx.cast(c.input(5).type()));
}

void concat_grad(EvaluateContext& c) {
  const Tensor& dy = c.input(0);
  const int64_t axis = normalize_axis(c.node().require<int64_t>("axis"), dy.rank());
  const Tensor wide = dy.cast(DataType::float64);
  int64_t start = 0;
  for (size_t output = 0; output < c.output_count(); ++output) {
    Tensor part(DataType::float64, c.input(output + 1).dims());
    const int64_t size = part.dims()[axis];
    scatter_add(wide, part, [&](size_t on, int64_t i) {
      if (static_cast<int64_t>(on) != axis) return i;
      return i >= start && i < start + size ? i - start : int64_t{-1};
    });
    start += size;
    if (c.has_output(output)) c.set(output, part.cast(dy.type()));
  }
}

void gather_grad(EvaluateContext& c) {
  Tensor dx(DataType::float64, c.input(0).dims());
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), dx.rank());
  auto indices = c.input(1).to_int64s();
  for (int64_t& i : indices) {
    if (i < -dx.dims()[axis] || i >= dx.dims()[axis]) c.fail("index " + std::to_string(i) + " is out of range");
    if (i < 0) i += dx.dims()[axis];
  }
  // The indices' axes, taken as one, stand where `axis` was.
  Dims dims = dx.dims();
  dims[axis] = static_cast<int64_t>(indices.size());
  const Tensor dy = c.input(2).cast(DataType::float64).reshaped(dims);
  scatter_add(dy, dx, [&](size_t on, int64_t i) { return static_cast<int64_t>(on) == axis ? indices[i] : i; });
  c.set(0, dx.cast(c.input(2).type()));
}

/// Where a padded position came from: -1 for the constant.
int64_t pad_source(const std::string& mode, int64_t i, int64_t size) {
  if (i >= 0 && i < size) return i;
  if (mode == "constant" || size == 0) return -1;
  if (mode == "edge") return std::clamp<int64_t>(i, 0, size - 1);
  if (mode == "wrap") return ((i % size) + size) % size;
  const int64_t period = std::max<int64_t>(1, 2 * (size - 1));  // reflect
  const int64_t j = ((i % period) + period) % period;
  return j < size ? j : period - j;
}

void pad_grad(EvaluateContext& c) {
  Tensor dx(DataType::float64, c.input(0).dims());
  const auto pads = c.node().require<std::vector<int64_t>>("pads");
  const auto mode = c.node().get<std::string>("mode", "constant");
  if (static_cast<int64_t>(pads.size()) != 2 * dx.rank()) c.fail("pads do not match the rank");
  const Tensor dy = c.input(1).cast(DataType::float64);
  scatter_add(dy, dx, [&](size_t axis, int64_t i) { return pad_source(mode, i - pads[axis], dx.dims()[axis]); });
  c.set(0, dx.cast(c.input(1).type()));
}

bool lower_concat_grad(LowerContext& c) {
  const int64_t axis = normalize_axis(c.node().require<int64_t>("axis"), static_cast<int64_t>(c.dims(0).size()));
  std::vector<Box> boxes;
  Dims at(c.dims(0).size(), 0);
  for (size_t i = 0; i + 1 < c.node().inputs.size(); ++i) {
    if (c.has_output(i)) boxes.push_back({i, at});
    at[axis] += c.dims(i + 1)[axis];
  }
  return lower_cut(c, 0, boxes);
}

bool lower_gather_grad_axis(LowerContext& c) {
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), static_cast<int64_t>(c.dims(0).size()));
  return lower_gather_grad(c, Indexing::Kind::axis, axis);
}

/// The gradient laid into zeros: an axis that was cut gets a table of what each position received.
bool lower_slice_grad(LowerContext& c) {
  const Tensor *starts = c.constant(1), *axes = c.constant(3), *steps = c.constant(4);
  if (!starts || (c.has_input(3) && !axes) || (c.has_input(4) && !steps)) return false;
  const Dims dx = c.output_dims(0), dy = c.dims(5), strides = row_major_strides(dy);
  const auto first = starts->to_int64s();
  const auto on = axes ? axes->to_int64s() : std::vector<int64_t>{}, by = steps ? steps->to_int64s() : std::vector<int64_t>{};
  if (!is_movable(c, 5)) return false;
  std::vector<MoveAxis> moved;
  for (size_t a = 0; a < dx.size(); ++a) moved.push_back({dx[a], strides[a], {}});
  for (size_t i = 0; i < first.size(); ++i) {
    const int64_t axis = normalize_axis(on.empty() ? static_cast<int64_t>(i) : on.at(i), static_cast<int64_t>(dx.size()));
    const int64_t step = by.empty() ? 1 : by.at(i), start = clamp_start(first[i], step, dx[axis]);
    if (!moved[axis].table.empty()) return false;  // an axis that stands twice
    moved[axis].table.assign(static_cast<size_t>(dx[axis]), -1);
    for (int64_t k = 0; k < dy[axis]; ++k) moved[axis].table.at(static_cast<size_t>(start + k * step)) = k * strides[axis];
  }
  return lower_move(c, 5, std::move(moved));
}

/// Padding that repeats is resampling with one tap, and its gradient the transposed map.
bool lower_repeated_pad_grad(LowerContext& c, const std::string& mode) {
  const auto pads = c.node().require<std::vector<int64_t>>("pads");
  const Dims dx = c.output_dims(0), dy = c.dims(1);
  if (c.type(1) != DataType::float32 || element_count(dx) == 0 || element_count(dy) == 0) return false;
  ResampleProblem problem{1, 1, {}, 0};
  for (size_t a = 0; a < dx.size(); ++a) {
    AxisTaps taps{dx[a], dy[a], 1, {}, std::vector<double>(static_cast<size_t>(dy[a]), 1.0), {}};
    for (int64_t i = 0; i < dy[a]; ++i) taps.index.push_back(pad_source(mode, i - pads[a], dx[a]));
    const bool leading = taps.identity() && problem.axes.empty();
    if (leading) problem.planes *= dx[a];
    else problem.axes.push_back(std::move(taps));
  }
  while (problem.axes.size() > 1 && problem.axes.back().identity()) {
    problem.block *= problem.axes.back().in;
    problem.axes.pop_back();
  }
  if (problem.axes.empty()) return false;
  const Operand from = c.read(1, Layout::plain(DataType::float32, dy)), to = c.write(0, Layout::plain(DataType::float32, dx));
  const size_t scratch = resample_scratch(problem);
  c.step(resample_backward(std::move(problem)), {from, to, c.scratch(scratch)}, "loop");
  return true;
}

bool lower_pad_grad(LowerContext& c) {
  const auto mode = c.node().get<std::string>("mode", "constant");
  if (mode != "constant") return lower_repeated_pad_grad(c, mode);
  // Constant padding: a box of the gradient.
  const auto pads = c.node().require<std::vector<int64_t>>("pads");
  const Dims dx = c.output_dims(0), dy = c.dims(1), strides = row_major_strides(dy);
  if (!is_movable(c, 1)) return false;
  Dims offsets(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(dx.size()));
  if (std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p >= 0; }) && lower_cut(c, 1, {{0, offsets}})) return true;
  std::vector<MoveAxis> axes;
  for (size_t a = 0; a < dx.size(); ++a) {
    MoveAxis axis{dx[a], 0, {}};
    for (int64_t i = 0; i < dx[a]; ++i) {
      const int64_t at = i + offsets[a];
      axis.table.push_back(at < 0 || at >= dy[a] ? -1 : at * strides[a]);
    }
    axes.push_back(std::move(axis));
  }
  return lower_move(c, 1, std::move(axes));
}

}  // namespace

extern const Op slice_grad_op, concat_grad_op, gather_grad_op, pad_grad_op;

/// SliceGrad(x_like, starts, ends, axes, steps, dy) -> dx; axes and steps may be omitted.
const Op slice_grad_op = {
    .name = "SliceGrad",
    .domain = kInternalDomain,
    .infer = infer_slice,
    .evaluate = slice_grad,
    .lower = lower_slice_grad,
    .shape_only_inputs = 0b1,
};

/// ConcatGrad(dy, like_1 .. like_n) {axis} -> n parts of dy; a part that nobody wants may be an omitted output.
const Op concat_grad_op = {
    .name = "ConcatGrad",
    .domain = kInternalDomain,
    .infer = infer_concat,
    .evaluate = concat_grad,
    .lower = lower_concat_grad,
    .shape_only_inputs = ~1u,
};

/// GatherGrad(x_like, indices, dy) {axis} -> dx; rows that are gathered several times are summed.
const Op gather_grad_op = {
    .name = "GatherGrad",
    .domain = kInternalDomain,
    .infer = infer_gather,
    .evaluate = gather_grad,
    .lower = lower_gather_grad_axis,
    .shape_only_inputs = 0b1,
};

/// PadGrad(x_like, dy) {pads: begins of all axes, then ends; mode} -> dx; what was repeated is summed.
const Op pad_grad_op = {
    .name = "PadGrad",
    .domain = kInternalDomain,
    .infer = infer_pad,
    .evaluate = pad_grad,
    .lower = lower_pad_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
