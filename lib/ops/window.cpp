#include "lib/ops/window.h"

#include <algorithm>
#include <limits>

#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& message) {
  throw Error(ErrorKind::bad_data, node.where() + ": " + message);
}

/// Of strides, dilations and pads: so that no product of two of them overflows.
constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

Dims read_sizes(const Node& node, const char* attribute, size_t length, int64_t otherwise, int64_t least) {
  const auto sizes = node.get<Dims>(attribute, {});
  if (sizes.empty()) return Dims(length, otherwise);
  if (sizes.size() != length) {
    fail(node, std::string(attribute) + " has " + std::to_string(sizes.size()) + " numbers, expected " + std::to_string(length));
  }
  for (const int64_t size : sizes) {
    if (size < least) fail(node, std::string(attribute) + " is " + to_string(sizes) + ", expected none below " + std::to_string(least));
    if (size > kLargest) fail(node, std::string(attribute) + " is " + to_string(sizes) + ", expected none above " + std::to_string(kLargest));
  }
  return sizes;
}

Window::AutoPad read_auto_pad(const Node& node) {
  const auto text = node.get<std::string>("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return Window::AutoPad::notset;
  if (text == "VALID") return Window::AutoPad::valid;
  if (text == "SAME_UPPER") return Window::AutoPad::same_upper;
  if (text == "SAME_LOWER") return Window::AutoPad::same_lower;
  fail(node, "auto_pad is '" + text + "', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
}

/// Output columns whose input column `column * stride + shift` lies in [0, in).
std::pair<int64_t, int64_t> inside(int64_t shift, int64_t stride, int64_t in, int64_t out) {
  const int64_t begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t end = in - shift <= 0 ? 0 : (in - shift + stride - 1) / stride;
  return {std::min(begin, out), std::max(std::min(begin, out), std::min(end, out))};
}

void append(TapRuns& tap, TapRuns::Run run) {
  if (run.length == 0) return;
  if (!tap.runs.empty() && tap.step == 1) {
    TapRuns::Run& last = tap.runs.back();
    if (last.out + last.length == run.out && last.in + last.length == run.in) {
      last.length += run.length;
      return;
    }
  }
  tap.runs.push_back(run);
}

/// Steps a row-major index; false after the last one.
bool advance(Dims& index, const Dims& limits, size_t axes) {
  for (size_t axis = axes; axis-- > 0;) {
    if (++index[axis] < limits[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

}  // namespace

int64_t Window::extent(size_t i) const { return checked_add(checked_mul(kernel[i] - 1, dilations[i], "window"), 1, "window"); }

Window read_window(const Node& node, size_t spatial_rank, const std::optional<Dims>& kernel) {
  Window window;
  if (node.has("kernel_shape") || !kernel) {
    if (!node.has("kernel_shape")) fail(node, "attribute 'kernel_shape' is missing");
    window.kernel = read_sizes(node, "kernel_shape", spatial_rank, 1, 1);
    if (kernel && *kernel != window.kernel) {
      fail(node, "kernel_shape is " + to_string(window.kernel) + ", but the weight has " + to_string(*kernel));
    }
  } else {
    window.kernel = *kernel;
  }
  for (const int64_t size : window.kernel) {
    if (size < 1) fail(node, "kernel is " + to_string(window.kernel) + ", expected sizes above 0");
  }
  window.strides = read_sizes(node, "strides", spatial_rank, 1, 1);
  window.dilations = read_sizes(node, "dilations", spatial_rank, 1, 1);
  window.auto_pad = read_auto_pad(node);
  window.ceil_mode = node.get<int64_t>("ceil_mode", 0) != 0;
  const Dims pads = window.auto_pad == Window::AutoPad::notset ? read_sizes(node, "pads", 2 * spatial_rank, 0, 0)
                                                               : Dims(2 * spatial_rank, 0);
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(spatial_rank);
  window.pads_begin.assign(pads.begin(), middle);
  window.pads_end.assign(middle, pads.end());
  return window;
}

Dim output_size(const Window& window, size_t i, const Dim& in) {
  const int64_t stride = window.strides[i];
  if (window.same()) return floor_div(in + Dim(stride - 1), stride);
  const int64_t extent = window.extent(i);
  const Dim room = in + Dim(window.pads_begin[i]) + Dim(window.pads_end[i]) - Dim(extent);
  if (!window.ceil_mode) return floor_div(room, stride) + Dim(1);
  const Dim size = floor_div(room + Dim(stride - 1), stride) + Dim(1);
  if (!size.known()) return checked_add(window.pads_end[i], stride) <= extent ? size : Dim();
  return checked_mul(size.value() - 1, stride) >= checked_add(in.value(), window.pads_begin[i]) ? Dim(size.value() - 1) : size;
}

Window resolve(Window window, const Dims& in) {
  for (size_t i = 0; i < window.spatial_rank(); ++i) {
    // A stride that leaves the padded input after its first step may as well be shorter; oneDNN refuses huge ones.
    window.strides[i] = std::min(window.strides[i], std::max<int64_t>(1, in[i] + window.pads_begin[i] + window.pads_end[i]));
    if (!window.same()) continue;
    const int64_t stride = window.strides[i], out = (in[i] + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * stride + window.extent(i) - in[i]);
    const int64_t small = total / 2, large = total - small;
    window.pads_begin[i] = window.auto_pad == Window::AutoPad::same_upper ? small : large;
    window.pads_end[i] = total - window.pads_begin[i];
  }
  return window;
}

std::vector<TapRuns> tap_runs(const Window& window, const Dims& in, const Dims& out) {
  const size_t last = window.spatial_rank() - 1;
  const Dims in_strides = row_major_strides(in), out_strides = row_major_strides(out);
  std::vector<TapRuns> result;
  constexpr int64_t kMostRuns = int64_t{1} << 27;
  const int64_t tap_count = element_count(window.kernel);
  if (tap_count > kMostRuns || element_count(Dims(out.begin(), out.end() - 1)) > kMostRuns / tap_count) {
    throw Error(ErrorKind::bad_data, "window " + to_string(window.kernel) + " over " + to_string(out) + " positions is too large to run");
  }
  if (element_count(out) == 0) return std::vector<TapRuns>(static_cast<size_t>(tap_count));
  Dims tap_index(last + 1, 0);
  do {
    Dims shift(last + 1);
    for (size_t i = 0; i <= last; ++i) shift[i] = tap_index[i] * window.dilations[i] - window.pads_begin[i];
    const auto [begin, end] = inside(shift[last], window.strides[last], in[last], out[last]);
    TapRuns tap;
    tap.step = window.strides[last];
    Dims row(last + 1, 0);
    do {
      int64_t from = begin * tap.step + shift[last], to = begin;
      bool valid = true;
      for (size_t i = 0; i < last && valid; ++i) {
        const int64_t position = row[i] * window.strides[i] + shift[i];
        valid = position >= 0 && position < in[i];
        if (valid) from += position * in_strides[i];
        to += row[i] * out_strides[i];
      }
      if (valid) append(tap, {to, from, end - begin});
    } while (advance(row, out, last));
    result.push_back(std::move(tap));
  } while (advance(tap_index, window.kernel, last + 1));
  return result;
}

}  // namespace espalier
