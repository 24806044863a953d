#include "lib/ops/conv_transpose.h"

#include <algorithm>
#include <limits>

#include "lib/base/error.h"
#include "lib/ops/conv_problem.h"

namespace espalier {

TransposeGeometry transpose_geometry(const Node& node, const SymbolicDims& in, const std::optional<Dims>& kernel) {
  TransposeGeometry g{read_window(node, in.size(), kernel), {}};
  Window& w = g.window;
  const auto wanted = node.get<Dims>("output_shape", {});
  const auto extra = node.get<Dims>("output_padding", {});
  const auto wrong = [&](const char* what, size_t length) {
    throw Error(ErrorKind::bad_data, node.where() + ": " + what + " has " + std::to_string(length) + " numbers, expected " + std::to_string(in.size()));
  };
  // Some files give the batch and channels with it.
  if (!wanted.empty() && wanted.size() != in.size() && wanted.size() != in.size() + 2) wrong("output_shape", wanted.size());
  if (!extra.empty() && extra.size() != in.size()) wrong("output_padding", extra.size());
  const auto check_sizes = [&](const char* what, const Dims& sizes) {
    const auto fits = [](int64_t size) { return size >= 0 && size <= std::numeric_limits<int32_t>::max(); };
    if (std::all_of(sizes.begin(), sizes.end(), fits)) return;
    throw Error(ErrorKind::bad_data, node.where() + ": " + what + " is " + to_string(sizes) + ", expected none below 0 or above 2147483647");
  };
  check_sizes("output_shape", wanted.empty() ? wanted : Dims(wanted.end() - static_cast<std::ptrdiff_t>(in.size()), wanted.end()));
  check_sizes("output_padding", extra);
  for (size_t i = 0; i < in.size(); ++i) {
    const Dim full = (in[i] - Dim(1)) * Dim(w.strides[i]) + Dim(w.extent(i)) + Dim(extra.empty() ? 0 : extra[i]);
    Dim out = full - Dim(w.pads_begin[i]) - Dim(w.pads_end[i]);
    if (!wanted.empty()) out = wanted[wanted.size() - in.size() + i];
    else if (w.same()) out = in[i] * Dim(w.strides[i]);
    if ((!wanted.empty() || w.same()) && out.known() && full.known()) {
      const int64_t total = std::max<int64_t>(0, full.value() - out.value()), small = total / 2;
      w.pads_begin[i] = w.auto_pad == Window::AutoPad::same_upper ? small : total - small;
      w.pads_end[i] = total - w.pads_begin[i];
    }
    g.out.push_back(out);
  }
  w.auto_pad = Window::AutoPad::notset;
  return g;
}

std::optional<ConvProblem> transpose_problem(const Node& node, DataType type, const Dims& x, const Dims& w, const Dims& y) {
  if (!is_fast_conv(type, y, w, x)) return std::nullopt;
  const Dims in(x.begin() + 2, x.end()), out(y.begin() + 2, y.end()), kernel(w.begin() + 2, w.end());
  const Window window = transpose_geometry(node, to_symbolic(in), kernel).window;
  ConvProblem p;
  p.src = y, p.weights = w, p.dst = x;
  p.strides = window.strides, p.dilations = window.dilations, p.pads_begin = window.pads_begin;
  p.group = node.get<int64_t>("group", 1);
  for (size_t i = 0; i < in.size(); ++i) {
    // What the last position reaches beyond y is padding; a y that is longer has a rest that no position reads.
    const int64_t reach = (in[i] - 1) * window.strides[i] + window.extent(i) - window.pads_begin[i];
    const int64_t pad = std::max<int64_t>(0, reach - out[i]);
    if (out[i] - reach >= window.strides[i] || window.pads_begin[i] >= window.extent(i) || pad >= window.extent(i)) return std::nullopt;
    p.pads_end.push_back(pad);
  }
  return p;
}

}  // namespace espalier
