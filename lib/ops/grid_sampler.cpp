#include "lib/ops/grid_sampler.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& message) {
  throw Error(ErrorKind::bad_data, node.where() + ": " + message);
}

/// x thrown back at the borders until it lies between them; `*sign` becomes the derivative.
double reflect(double x, double low, double high, double* sign = nullptr) {
  const double range = high - low;
  if (range <= 0) {
    if (sign) *sign = 0;
    return low;
  }
  if (x >= low && x <= high) return x;
  const double beyond = x < low ? low - x : x - high;
  const double times = std::floor(beyond / range), rest = beyond - times * range;
  const bool even = std::fmod(times, 2.0) == 0;
  const bool from_low = (x < low) == even;
  if (sign) *sign = (x < low) == from_low ? -1 : 1;
  return from_low ? low + rest : high - rest;
}

/// Keys' kernel with a = -3/4 at the distances 1 + t, t, 1 - t, 2 - t, and its derivatives by t.
void cubic(double t, double* weight, double* slope) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  const auto near_slope = [](double x) { return (3 * (a + 2) * x - 2 * (a + 3)) * x; };
  const auto far_slope = [](double x) { return (3 * a * x - 10 * a) * x + 8 * a; };
  weight[0] = far(1 + t), weight[1] = near(t), weight[2] = near(1 - t), weight[3] = far(2 - t);
  slope[0] = far_slope(1 + t), slope[1] = near_slope(t), slope[2] = -near_slope(1 - t), slope[3] = -far_slope(2 - t);
}

}  // namespace

GridSampler::GridSampler(const Node& node) {
  const auto how = node.get<std::string>("mode", "linear"), pad = node.get<std::string>("padding_mode", "zeros");
  if (how == "nearest") mode = Mode::nearest;
  else if (how == "cubic" || how == "bicubic") mode = Mode::cubic;
  else if (how != "linear" && how != "bilinear") fail(node, "mode is '" + how + "', expected nearest, linear or cubic");
  if (pad == "border") padding = Padding::border;
  else if (pad == "reflection") padding = Padding::reflection;
  else if (pad != "zeros") fail(node, "padding_mode is '" + pad + "', expected zeros, border or reflection");
  align_corners = node.get<int64_t>("align_corners", 0) != 0;
}

SamplePoint GridSampler::at(double n, int64_t size) const {
  const auto length = static_cast<double>(size);
  const double x = align_corners ? (n + 1) / 2 * (length - 1) : ((n + 1) * length - 1) / 2;
  return at_position(x, size, (align_corners ? length - 1 : length) / 2);
}

SamplePoint GridSampler::at_position(double x, int64_t size, double slope_scale) const {
  const auto length = static_cast<double>(size);
  const double low = align_corners ? 0 : -0.5, high = align_corners ? length - 1 : length - 0.5;
  if (!std::isfinite(x)) x = -1e9;
  if (mode == Mode::nearest) x = std::nearbyint(x);
  if (x < low || x > high) {
    if (padding == Padding::border) {
      x = std::clamp(x, 0.0, length - 1);
      slope_scale = 0;
    } else if (padding == Padding::reflection) {
      double sign = 1;
      x = reflect(x, low, high, &sign);
      slope_scale *= sign;
    }
  }
  x = std::clamp(x, -1e9, length + 1e9);
  const double floor = std::floor(x), t = x - floor;
  double weight[4] = {1, 0, 0, 0}, slope[4] = {};
  int count = 1, first = 0;
  if (mode == Mode::linear) {
    count = 2;
    weight[0] = 1 - t, weight[1] = t;
    slope[0] = -1, slope[1] = 1;
  } else if (mode == Mode::cubic) {
    count = 4, first = -1;
    cubic(t, weight, slope);
  }
  SamplePoint point;
  for (int k = 0; k < count; ++k) {
    double at = floor + first + k;
    if (padding == Padding::border) at = std::clamp(at, 0.0, length - 1);
    // Between two elements a reflected place is taken towards zero, as the reference does.
    if (padding == Padding::reflection) at = std::clamp(std::trunc(reflect(at, low, high)), 0.0, length - 1);
    if (at < 0 || at >= length) continue;
    point.index[point.count] = static_cast<int64_t>(at);
    point.weight[point.count] = weight[k];
    point.slope[point.count++] = slope[k] * slope_scale;
  }
  return point;
}

void combine(const std::vector<SamplePoint>& points, const std::vector<int64_t>& sizes, std::vector<SampleTap>& taps,
             std::vector<double>* slopes) {
  taps.clear();
  if (slopes) slopes->clear();
  const size_t rank = points.size();
  std::vector<int> at(rank, 0);
  for (const SamplePoint& p : points) {
    if (p.count == 0) return;
  }
  for (size_t axis = 0; axis != SIZE_MAX;) {
    SampleTap tap{0, 1};
    for (size_t i = 0; i < rank; ++i) {
      tap.offset = tap.offset * sizes[i] + points[i].index[at[i]];
      tap.weight *= points[i].weight[at[i]];
    }
    taps.push_back(tap);
    for (size_t by = 0; slopes && by < rank; ++by) {
      double product = 1;
      for (size_t i = 0; i < rank; ++i) product *= i == by ? points[i].slope[at[i]] : points[i].weight[at[i]];
      slopes->push_back(product);
    }
    for (axis = rank - 1; axis != SIZE_MAX; --axis) {
      if (++at[axis] < points[axis].count) break;
      at[axis] = 0;
    }
  }
}

}  // namespace espalier
