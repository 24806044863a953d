#include "lib/ops/taps.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {
namespace {

Dims attribute_or(const Node& node, const char* name, size_t rank, int64_t otherwise) {
  Dims result = node.get<std::vector<int64_t>>(name, {});
  if (result.empty()) result.assign(rank, otherwise);
  if (result.size() != rank) {
    throw Error(ErrorKind::bad_data, node.where() + ": attribute '" + name + "' has " + std::to_string(result.size()) +
                                         " elements, expected " + std::to_string(rank));
  }
  return result;
}

/// Next position in row-major order; false after the last.
bool advance(Dims& at, const Dims& dims) {
  for (size_t i = at.size(); i-- > 0;) {
    if (++at[i] < dims[i]) return true;
    at[i] = 0;
  }
  return false;
}

}  // namespace

WindowGeometry window_geometry(const Node& node, const Dims& in, const Dims& kernel, const Dims& out) {
  const size_t rank = in.size();
  check(kernel.size() == rank && out.size() == rank, "a window of the input's rank");
  WindowGeometry w{in, kernel, out, attribute_or(node, "strides", rank, 1), attribute_or(node, "dilations", rank, 1), {}, {}};
  const auto auto_pad = node.get<std::string>("auto_pad", "NOTSET");
  const Dims pads = attribute_or(node, "pads", 2 * rank, 0);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t total = std::max<int64_t>(0, (out[i] - 1) * w.strides[i] + (kernel[i] - 1) * w.dilations[i] + 1 - in[i]);
    const bool notset = auto_pad == "NOTSET" || auto_pad.empty();
    w.begin.push_back(notset ? pads[i] : auto_pad == "SAME_UPPER" ? total / 2 : auto_pad == "SAME_LOWER" ? total - total / 2 : 0);
    w.end.push_back(notset ? pads[rank + i] : auto_pad == "VALID" ? 0 : total - w.begin[i]);
  }
  return w;
}

std::vector<Tap> taps(const WindowGeometry& w) {
  std::vector<Tap> result;
  if (element_count(w.out) == 0 || element_count(w.kernel) == 0) return result;
  Dims out(w.in.size(), 0);
  int64_t out_index = 0;
  do {
    Dims tap(w.in.size(), 0);
    int64_t tap_index = 0;
    do {
      int64_t in = 0;
      bool inside = true;
      for (size_t i = 0; i < w.in.size() && inside; ++i) {
        const int64_t x = out[i] * w.strides[i] + tap[i] * w.dilations[i] - w.begin[i];
        inside = x >= 0 && x < w.in[i];
        in = in * w.in[i] + x;
      }
      if (inside) result.push_back({out_index, tap_index, in});
      ++tap_index;
    } while (advance(tap, w.kernel));
    ++out_index;
  } while (advance(out, w.out));
  return result;
}

}  // namespace espalier
