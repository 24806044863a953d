// Resize, Upsample and their gradient: each axis is resampled by itself.

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/resize.h"
#include "lib/ops/image_units.h"
#include "lib/tensor/take.h"

namespace espalier::ops {
namespace {

bool is_upsample(const Node& node) { return node.op_type == "Upsample"; }

/// Where the operands stand: Resize-10 and Upsample-9 have scales alone, ResizeGrad begins with (dy, x_like).
struct Places {
  size_t roi, scales, sizes;
};

constexpr size_t kNowhere = 99;

Places places(const Node& node) {
  if (node.op_type == "ResizeGrad") return {2, 3, 4};
  if (is_upsample(node) || node.version < 11) return {kNowhere, 1, kNowhere};
  return {1, 2, 3};
}

/// The operands that are there and not empty; Upsample-7 has scales as an attribute, which `own` then holds.
template <class Get>
ResizeOperands operands(const Node& node, Tensor& own, Get get) {
  const auto some = [&](size_t i) -> const Tensor* {
    const Tensor* t = i == kNowhere ? nullptr : get(i);
    return t && t->size() > 0 ? t : nullptr;
  };
  const Places at = places(node);
  ResizeOperands result{some(at.roi), some(at.scales), some(at.sizes)};
  if (is_upsample(node) && node.version < 9) {
    const auto scales = node.require<std::vector<float>>("scales");
    own = Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales);
    result.scales = &own;
  }
  return result;
}

ResizeOperands operands(const EvaluateContext& c, Tensor& own) {
  return operands(c.node(), own, [&](size_t i) { return c.has_input(i) ? &c.input(i) : nullptr; });
}

ResizeOperands operands(const InferContext& c, Tensor& own) {
  return operands(c.node(), own, [&](size_t i) { return c.has_input(i) ? c.constant(i) : nullptr; });
}

/// floor(size * scale), for a symbolic size where the scale is a fraction of a small power of two; unknown otherwise.
Dim scaled_size(const Dim& size, double scale) {
  for (int64_t below = 1; below <= 64; below *= 2) {
    const double above = scale * static_cast<double>(below);
    if (above != std::floor(above) || above > 1e6) continue;
    return below == 1 ? size * Dim(static_cast<int64_t>(above)) : floor_div(size * Dim(static_cast<int64_t>(above)), below);
  }
  return {};
}

SymbolicDims symbolic_dims(const InferContext& c, const ResizeForm& form, const ResizeOperands& known) {
  const SymbolicDims& x = c.dims(0);
  SymbolicDims result = x;
  const Places at = places(c.node());
  const auto axes = resize_axes(form, c.node(), c.rank(0));
  const auto sizes = at.sizes != kNowhere && c.has_input(at.sizes) ? c.numbers(at.sizes) : std::nullopt;
  // Each axis by itself: sizes that are not known count as 1, and only known ones are taken.
  Dims counted;
  bool all = true;
  for (const Dim& d : x) counted.push_back(d.known() ? d.value() : 1);
  for (const int64_t axis : axes) all = all && x[static_cast<size_t>(axis)].known();
  const bool settled = known.scales || (known.sizes && (all || form.policy == "stretch"));
  const Dims computed = settled ? resized_dims(form, c.node(), counted, known) : counted;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    Dim& size = result[axis];
    if (settled && (known.sizes || size.known())) size = computed[axis];
    else if (known.scales) size = scaled_size(size, known.scales->to_doubles()[i]);
    else if (sizes && sizes->size() == axes.size() && form.policy == "stretch") size = (*sizes)[i];
    else size = {};
  }
  return result;
}

void infer(InferContext& c) {
  const bool upsample = is_upsample(c.node());
  if (upsample) c.require_inputs(c.version() < 9 ? 1 : 2, c.version() < 9 ? 1 : 2);
  else if (c.version() < 11) c.require_inputs(2, 2);
  else c.require_inputs(1, 4);
  const ResizeForm form(c.node());
  Tensor own;
  const ResizeOperands known = operands(c, own);
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  const Places at = places(c.node());
  const bool has_sizes = at.sizes != kNowhere && c.has_input(at.sizes), has_scales = known.scales || c.has_input(at.scales);
  if (!has_sizes && !has_scales) c.fail("has neither scales nor sizes");
  if (known.scales && known.sizes) c.fail("has both scales and sizes");
  c.set(0, c.elem_type(0), symbolic_dims(c, form, known));
}

/// One axis of doubles [outer, in, inner] -> [outer, out, inner]; `transposed` the other way.
std::vector<double> along(const std::vector<double>& x, const AxisTaps& taps, int64_t inner, bool transposed) {
  const int64_t from = transposed ? taps.out : taps.in, to = transposed ? taps.in : taps.out;
  const int64_t outer = from > 0 && inner > 0 ? static_cast<int64_t>(x.size()) / (from * inner) : 0;
  std::vector<double> y(static_cast<size_t>(outer * to * inner));
  parallel_for(outer, std::max<int64_t>(1, 4096 / std::max<int64_t>(1, to * inner)), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const double* source = x.data() + n * from * inner;
      double* target = y.data() + n * to * inner;
      for (int64_t k = 0; k < taps.out * taps.taps; ++k) {
        const int64_t o = k / taps.taps, i = taps.index[k];
        const double* read = source + (transposed ? o : i) * inner;
        double* write = target + (transposed ? i : o) * inner;
        const double weight = taps.weight[k];
        if (weight == 0) continue;
        for (int64_t l = 0; l < inner; ++l) write[l] += weight * read[l];
      }
    }
  });
  return y;
}

/// Sets `value` wherever some axis lies outside.
void fill_outside(std::vector<double>& y, const std::vector<AxisTaps>& taps, double value) {
  int64_t inner = 1;
  for (size_t axis = taps.size(); axis-- > 0; inner *= taps[axis].out) {
    if (taps[axis].outside.empty()) continue;
    for (size_t i = 0; i < y.size(); ++i) {
      if (taps[axis].outside[static_cast<int64_t>(i) / inner % taps[axis].out]) y[i] = value;
    }
  }
}

std::vector<double> resample(std::vector<double> values, const std::vector<AxisTaps>& taps, bool transposed) {
  int64_t inner = 1;
  for (size_t axis = taps.size(); axis-- > 0;) {
    if (!taps[axis].identity()) values = along(values, taps[axis], inner, transposed);
    inner *= transposed ? taps[axis].in : taps[axis].out;
  }
  return values;
}

Tensor from_doubles(DataType type, const Dims& dims, const std::vector<double>& values) {
  Tensor y(DataType::float64, dims);
  const auto out = y.mutable_data<double>();
  const bool whole = is_integer(type);
  for (size_t i = 0; i < values.size(); ++i) out[i] = whole ? std::nearbyint(values[i]) : values[i];
  return type == DataType::float64 ? y : y.cast(type);
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const ResizeForm form(c.node());
  Tensor own;
  const auto taps = resize_taps(form, c.node(), x.dims(), operands(c, own));
  Dims dims;
  bool outside = false;
  for (const AxisTaps& axis : taps) {
    dims.push_back(axis.out);
    outside |= !axis.outside.empty();
  }
  if (form.mode == ResizeForm::Mode::nearest && !outside) {
    Tensor y = x;
    for (size_t axis = 0; axis < taps.size(); ++axis) {
      if (!taps[axis].identity()) y = take(y, static_cast<int64_t>(axis), taps[axis].index);
    }
    return c.set(0, std::move(y));
  }
  std::vector<double> values = resample(x.to_doubles(), taps, false);
  fill_outside(values, taps, form.extrapolation);
  c.set(0, from_doubles(x.type(), dims, values));
}

void infer_grad(InferContext& c) {
  c.require_inputs(2, 5);
  const ResizeForm form(c.node());
  if (c.has_rank(1)) c.set(0, c.elem_type(0), c.dims(1));
  else c.set(0, Type::tensor(c.elem_type(0)));
}

void evaluate_grad(EvaluateContext& c) {
  const Dims& dims = c.input(1).dims();
  Tensor own;
  const auto taps = resize_taps(ResizeForm(c.node()), c.node(), dims, operands(c, own));
  std::vector<double> values = c.input(0).to_doubles();
  fill_outside(values, taps, 0);
  c.set(0, from_doubles(c.input(0).type(), dims, resample(std::move(values), taps, true)));
}

void gradient(GradientContext& c) {
  if (!c.wants(0)) return;
  const Places at = places(c.node());
  ValueId scales = at.scales == kNowhere ? kNone : c.input(at.scales);
  if (is_upsample(c.node()) && c.node().version < 9) {
    const auto given = c.node().require<std::vector<float>>("scales");
    scales = c.add("Constant", {}, {{"value", Tensor::of<float>({static_cast<int64_t>(given.size())}, given), {}}});
  }
  const ValueId roi = at.roi == kNowhere ? kNone : c.input(at.roi), sizes = at.sizes == kNowhere ? kNone : c.input(at.sizes);
  c.set_grad(0, c.add("ResizeGrad", {c.grad_output(), c.input(0), roi, scales, sizes}, ResizeForm(c.node()).attributes()));
}

/// The problem of a plan: x as it lies where that is blocked and only space is resized, plain otherwise.
struct Resampling {
  ResampleProblem problem;
  Layout x, y;
};

std::optional<Resampling> resampling(const LowerContext& c, const Dims& x, const Dims& y, const Layout& lies) {
  Tensor own;
  const ResizeForm form(c.node());
  const ResizeOperands known = operands(c.facts(), own);
  if (!known.scales && !known.sizes) return std::nullopt;
  if (form.coordinates == "tf_crop_and_resize" && !known.roi) return std::nullopt;
  if (x.size() < 2 || element_count(x) == 0 || element_count(y) == 0) return std::nullopt;
  auto taps = resize_taps(form, c.node(), x, known);
  Resampling result;
  result.problem.outside_value = static_cast<float>(form.extrapolation);
  const bool outside = std::any_of(taps.begin(), taps.end(), [](const AxisTaps& a) { return !a.outside.empty(); });
  const auto channels = lies.channels();
  const bool blocked = !lies.is_plain() && lies.dims() == x && channels && x.size() > 2 && taps[0].identity() && taps[1].identity() && !outside;
  if (const auto like = blocked ? lies.like(y) : std::nullopt) {
    result.problem.planes = channels->batch * channels->blocks;
    result.problem.block = channels->block;
    result.problem.axes.assign(taps.begin() + 2, taps.end());
    result.x = lies;
    result.y = *like;
    return result;
  }
  size_t first = 0, last = taps.size();
  result.problem.planes = 1;
  while (last > 1 && taps[last - 1].identity()) result.problem.block *= taps[--last].in;
  while (first + 1 < last && taps[first].identity()) result.problem.planes *= taps[first++].in;
  result.problem.axes.assign(taps.begin() + static_cast<ptrdiff_t>(first), taps.begin() + static_cast<ptrdiff_t>(last));
  result.x = Layout::plain(DataType::float32, x);
  result.y = Layout::plain(DataType::float32, y);
  return result;
}

bool lower(LowerContext& c) {
  if (c.type(0) != DataType::float32) return false;
  auto r = resampling(c, c.dims(0), c.output_dims(0), own_layout(c, 0));
  if (!r) return false;
  const std::vector<Operand> args = {c.read(0, r->x), c.write(0, r->y), c.scratch(resample_scratch(r->problem))};
  c.step(resample_forward(std::move(r->problem)), args, "loop");
  return true;
}

/// dx lies as dy does, where that is blocked.
bool lower_grad(LowerContext& c) {
  if (c.type(0) != DataType::float32) return false;
  const Layout dy = own_layout(c, 0);
  const auto as_x = dy.is_plain() ? std::nullopt : dy.like(c.dims(1));
  auto r = resampling(c, c.dims(1), c.dims(0), as_x ? *as_x : Layout::plain(DataType::float32, c.dims(1)));
  if (!r) return false;
  const std::vector<Operand> args = {c.read(0, r->y), c.write(0, r->x), c.scratch(resample_scratch(r->problem))};
  c.step(resample_backward(std::move(r->problem)), args, "loop");
  return true;
}

/// Two FLOPs for each tap along two axes.
Cost cost(const InferContext& c) {
  const auto mode = ResizeForm(c.node()).mode;
  const int64_t each = mode == ResizeForm::Mode::nearest ? 0 : mode == ResizeForm::Mode::linear ? 8 : 16;
  return {.flops = checked_mul(known_elements(c.output(0).type), each), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op resize;
const Op resize = {
    .name = "Resize",
    .since = 10,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::resize,
    .cut = cuts::resize,
    .cost = cost,
};

extern const Op upsample;
const Op upsample = {
    .name = "Upsample",
    .since = 7,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::resize,
    .cut = cuts::resize,
    .cost = cost,
};

/// ResizeGrad(dy, x_like, roi, scales, sizes) -> dx, with Resize's attributes; operands may be omitted as Resize's may.
extern const Op resize_grad;
const Op resize_grad = {
    .name = "ResizeGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
    .shape_only_inputs = 0b10,
};

}  // namespace espalier::ops
