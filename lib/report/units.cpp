#include "lib/report/units.h"

#include <fmt/format.h>

#include <cmath>

namespace espalier {
namespace {

/// Three significant digits of a number below 1000.
std::string three_digits(double value) {
  const double size = std::fabs(value);
  return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

std::string scaled(double value, const char* unit) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  size_t step = 0;
  while (std::fabs(value) >= 999.5 && step + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++step;
  }
  const std::string number = step == 0 && value == std::floor(value) ? fmt::format("{:.0f}", value) : three_digits(value);
  const std::string suffix = std::string(kPrefixes[step]) + unit;
  return suffix.empty() ? number : number + " " + suffix;
}

}  // namespace

std::string count_text(double count) { return scaled(count, ""); }

std::string bytes_text(double bytes) { return scaled(bytes, "B"); }

std::string seconds_text(double seconds) {
  if (std::isnan(seconds)) return "-";
  if (std::isinf(seconds)) return "inf";
  if (seconds == 0) return "0 s";
  if (seconds < 999.5e-6) return three_digits(seconds * 1e6) + " us";
  if (seconds < 999.5e-3) return three_digits(seconds * 1e3) + " ms";
  if (seconds < 99.5) return three_digits(seconds) + " s";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string percent_text(double fraction) { return std::isnan(fraction) ? "-" : fmt::format("{:.2f} %", fraction * 100); }

std::string fixed_text(double value, int digits) { return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, digits); }

std::string ratio_text(double a, double b) {
  const double ratio = a / b;
  return std::isfinite(ratio) ? fmt::format("{:.2f}x", ratio) : "-";
}

}  // namespace espalier
