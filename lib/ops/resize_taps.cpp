#include <algorithm>
#include <array>
#include <cmath>

#include "lib/base/error.h"
#include "lib/ops/resize.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& message) {
  throw Error(ErrorKind::bad_data, node.where() + ": " + message);
}

std::string one_of(const Node& node, const char* attribute, const std::string& otherwise, std::initializer_list<const char*> known) {
  const auto text = node.get<std::string>(attribute, otherwise);
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  std::string list;
  for (const char* word : known) list += (list.empty() ? "" : ", ") + std::string(word);
  fail(node, std::string(attribute) + " is '" + text + "', expected one of " + list);
}

/// How one axis is mapped: size * scale is `wide`, which may have a fraction.
struct AxisMap {
  int64_t in, out;
  double scale, wide, roi_start, roi_end;
};

struct Scaled {
  std::vector<double> scale;
  Dims out;
};

Scaled by_scales(const Node& node, const Dims& x, const std::vector<int64_t>& axes, const std::vector<double>& scales) {
  Scaled result{std::vector<double>(x.size(), 1.0), x};
  if (scales.size() != axes.size()) {
    fail(node, "scales has " + std::to_string(scales.size()) + " numbers, expected " + std::to_string(axes.size()));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    if (!(scales[i] > 0) || !std::isfinite(scales[i])) fail(node, "scale " + std::to_string(scales[i]) + " is not positive");
    // In float, as ONNX's own shape inference: 10 * 0.7f is 7.
    const float wide = static_cast<float>(x[axis]) * static_cast<float>(scales[i]);
    if (!(wide < 9e15f)) fail(node, "scale " + std::to_string(scales[i]) + " makes an axis too large");
    result.out[axis] = static_cast<int64_t>(std::floor(wide));
    const bool whole = static_cast<float>(result.out[axis]) == wide && x[axis] > 0;
    result.scale[axis] = whole ? static_cast<double>(result.out[axis]) / static_cast<double>(x[axis]) : scales[i];
  }
  return result;
}

Scaled by_sizes(const ResizeForm& form, const Node& node, const Dims& x, const std::vector<int64_t>& axes, const std::vector<int64_t>& sizes) {
  Scaled result{std::vector<double>(x.size(), 1.0), x};
  if (sizes.size() != axes.size()) {
    fail(node, "sizes has " + std::to_string(sizes.size()) + " numbers, expected " + std::to_string(axes.size()));
  }
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    if (sizes[i] < 0 || (x[axis] == 0 && sizes[i] > 0)) {
      fail(node, "size " + std::to_string(sizes[i]) + " cannot be made of " + std::to_string(x[axis]));
    }
    result.out[axis] = sizes[i];
    if (x[axis] == 0) continue;
    result.scale[axis] = static_cast<double>(sizes[i]) / static_cast<double>(x[axis]);
    least = std::min(least, result.scale[axis]);
    most = std::max(most, result.scale[axis]);
  }
  if (form.policy == "stretch" || axes.empty()) return result;
  const double scale = form.policy == "not_larger" ? least : most;
  for (const int64_t axis : axes) {
    const double wide = scale * static_cast<double>(x[static_cast<size_t>(axis)]) + 0.5;
    if (!(wide < 9e15)) fail(node, "sizes make an axis too large");
    result.scale[static_cast<size_t>(axis)] = scale;
    result.out[static_cast<size_t>(axis)] = static_cast<int64_t>(wide);
  }
  return result;
}

Scaled scaled(const ResizeForm& form, const Node& node, const Dims& x, const ResizeOperands& operands) {
  const auto axes = resize_axes(form, node, static_cast<int64_t>(x.size()));
  if (operands.sizes) return by_sizes(form, node, x, axes, operands.sizes->to_int64s());
  if (!operands.scales) fail(node, "has neither scales nor sizes");
  return by_scales(node, x, axes, operands.scales->to_doubles());
}

/// Where position o of the result lies in the source.
double source_of(const std::string& coordinates, const AxisMap& m, int64_t position) {
  const auto o = static_cast<double>(position), in = static_cast<double>(m.in);
  // Not o / scale: with whole sizes this is exact wherever the quotient is.
  const auto over_scale = [&](double v) { return v * in / m.wide; };
  if (coordinates == "align_corners") return m.wide == 1 ? 0 : o * (in - 1) / (m.wide - 1);
  if (coordinates == "asymmetric") return over_scale(o);
  if (coordinates == "tf_half_pixel_for_nn") return over_scale(o + 0.5);
  if (coordinates == "pytorch_half_pixel" && m.out == 1) return -0.5;
  if (coordinates == "half_pixel_symmetric") {
    return in / 2 * (1 - static_cast<double>(m.out) / m.wide) + over_scale(o + 0.5) - 0.5;
  }
  if (coordinates == "tf_crop_and_resize") {
    const double span = (m.roi_end - m.roi_start) * (in - 1);
    return m.roi_start * (in - 1) + (m.wide == 1 ? span / 2 : o * span / (m.wide - 1));
  }
  return over_scale(o + 0.5) - 0.5;
}

int64_t nearest_of(const std::string& mode, double x, double scale) {
  if (mode == "floor") return static_cast<int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<int64_t>(std::ceil(x));
  if (mode == "simple") return static_cast<int64_t>(scale < 1 ? std::ceil(x) : std::floor(x));
  if (mode == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5));
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

/// Keys' cubic convolution kernel.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// Weights around x: the kernel, stretched by 1 / scale where an antialiased axis shrinks.
void add_weights(const ResizeForm& form, const AxisMap& m, double x, int64_t half, AxisTaps& taps) {
  const double stretch = form.antialias ? std::min(m.scale, 1.0) : 1.0, base = std::ceil(x) - 1;
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 1 - half; i <= half; ++i) {
    const double at = base + static_cast<double>(i), distance = (at - x) * stretch;
    double weight = form.mode == ResizeForm::Mode::cubic ? cubic(distance, form.cubic_a) : std::max(0.0, 1 - std::abs(distance));
    if (form.exclude_outside && (at < 0 || at >= static_cast<double>(m.in))) weight = 0;
    taps.index.push_back(static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(m.in - 1))));
    weights.push_back(weight);
    sum += weight;
  }
  const bool normalise = (form.exclude_outside || form.antialias) && sum != 0;
  for (const double w : weights) taps.weight.push_back(normalise ? w / sum : w);
}

AxisTaps axis_taps(const ResizeForm& form, const Node& node, const AxisMap& m) {
  AxisTaps taps{m.in, m.out, 1, {}, {}, {}};
  const bool crop = form.coordinates == "tf_crop_and_resize";
  int64_t half = form.mode == ResizeForm::Mode::cubic ? 2 : 1;
  if (form.antialias && m.scale < 1) {
    const double wide = std::ceil(static_cast<double>(half) / m.scale);
    if (!(wide * static_cast<double>(std::max<int64_t>(1, m.out)) < 1 << 28)) fail(node, "an antialiased axis reads too many positions");
    half = static_cast<int64_t>(wide);
  }
  if (form.mode != ResizeForm::Mode::nearest) taps.taps = 2 * half;
  for (int64_t o = 0; o < m.out; ++o) {
    const double x = source_of(form.coordinates, m, o);
    if (!std::isfinite(x)) fail(node, "position " + std::to_string(o) + " has no place in the source");
    if (crop) taps.outside.push_back(x < 0 || x > static_cast<double>(m.in - 1));
    const double near = std::clamp(x, -1e9, 1e15);
    if (form.mode == ResizeForm::Mode::nearest) {
      taps.index.push_back(std::clamp<int64_t>(nearest_of(form.nearest, near, m.scale), 0, m.in - 1));
      taps.weight.push_back(1);
    } else {
      add_weights(form, m, near, half, taps);
    }
  }
  if (std::none_of(taps.outside.begin(), taps.outside.end(), [](bool b) { return b; })) taps.outside.clear();
  return taps;
}

AxisTaps identity_taps(int64_t n) {
  AxisTaps taps{n, n, 1, {}, std::vector<double>(static_cast<size_t>(n), 1.0), {}};
  for (int64_t i = 0; i < n; ++i) taps.index.push_back(i);
  return taps;
}

}  // namespace

ResizeForm::ResizeForm(const Node& node) {
  const bool old = (node.op_type == "Upsample" || (node.op_type == "Resize" && node.version < 11));
  const auto how = one_of(node, "mode", "nearest", {"nearest", "linear", "bilinear", "trilinear", "cubic"});
  mode = how == "nearest" ? Mode::nearest : how == "cubic" ? Mode::cubic : Mode::linear;
  if (old) {
    coordinates = "asymmetric";
    nearest = node.op_type == "Upsample" ? "floor" : "simple";
    return;
  }
  coordinates = one_of(node, "coordinate_transformation_mode", coordinates,
                       {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                        "tf_crop_and_resize", "tf_half_pixel_for_nn"});
  nearest = one_of(node, "nearest_mode", nearest, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"});
  policy = one_of(node, "keep_aspect_ratio_policy", policy, {"stretch", "not_larger", "not_smaller"});
  cubic_a = static_cast<double>(node.get<float>("cubic_coeff_a", -0.75f));
  extrapolation = static_cast<double>(node.get<float>("extrapolation_value", 0.0f));
  exclude_outside = node.get<int64_t>("exclude_outside", 0) != 0;
  antialias = node.get<int64_t>("antialias", 0) != 0 && mode != Mode::nearest;
  if (node.has("axes")) axes = node.get<std::vector<int64_t>>("axes", {});
}

std::vector<Attribute> ResizeForm::attributes() const {
  constexpr std::array modes = {"nearest", "linear", "cubic"};
  std::vector<Attribute> result = {{"mode", std::string(modes[static_cast<size_t>(mode)]), {}},
                                   {"coordinate_transformation_mode", coordinates, {}},
                                   {"nearest_mode", nearest, {}},
                                   {"keep_aspect_ratio_policy", policy, {}},
                                   {"cubic_coeff_a", static_cast<float>(cubic_a), {}},
                                   {"extrapolation_value", static_cast<float>(extrapolation), {}},
                                   {"exclude_outside", int64_t{exclude_outside}, {}},
                                   {"antialias", int64_t{antialias}, {}}};
  if (axes) result.push_back({"axes", *axes, {}});
  return result;
}

std::vector<int64_t> resize_axes(const ResizeForm& form, const Node& node, int64_t rank) {
  std::vector<int64_t> result;
  if (!form.axes) {
    for (int64_t i = 0; i < rank; ++i) result.push_back(i);
    return result;
  }
  for (const int64_t axis : *form.axes) {
    if (axis < -rank || axis >= rank) fail(node, "axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank));
    const int64_t at = axis < 0 ? axis + rank : axis;
    if (std::find(result.begin(), result.end(), at) != result.end()) fail(node, "axis " + std::to_string(axis) + " stands twice in axes");
    result.push_back(at);
  }
  return result;
}

Dims resized_dims(const ResizeForm& form, const Node& node, const Dims& x, const ResizeOperands& operands) {
  return scaled(form, node, x, operands).out;
}

std::vector<AxisTaps> resize_taps(const ResizeForm& form, const Node& node, const Dims& x, const ResizeOperands& operands) {
  const Scaled to = scaled(form, node, x, operands);
  const auto axes = resize_axes(form, node, static_cast<int64_t>(x.size()));
  std::vector<double> roi;
  if (form.coordinates == "tf_crop_and_resize") {
    if (!operands.roi || operands.roi->size() != static_cast<int64_t>(2 * axes.size())) {
      fail(node, "roi has not the " + std::to_string(2 * axes.size()) + " numbers that tf_crop_and_resize needs");
    }
    roi = operands.roi->to_doubles();
  }
  std::vector<AxisTaps> result;
  for (const int64_t size : x) result.push_back(identity_taps(size));
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    AxisMap m{x[axis], to.out[axis], to.scale[axis], to.scale[axis] * static_cast<double>(x[axis]), 0, 1};
    if (std::abs(m.wide - static_cast<double>(m.out)) < 1e-9 * m.wide) m.wide = static_cast<double>(m.out);
    if (!roi.empty()) m.roi_start = roi[i], m.roi_end = roi[i + axes.size()];
    if (m.in == m.out && m.wide == static_cast<double>(m.out) && m.roi_start == 0 && m.roi_end == 1 && form.coordinates != "tf_half_pixel_for_nn") continue;
    result[axis] = axis_taps(form, node, m);
  }
  return result;
}

}  // namespace espalier
