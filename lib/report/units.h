#pragma once

#include <cstdint>
#include <string>

namespace espalier {

/// Numbers for people: three significant digits, and a unit that keeps them readable. A NaN is "-": what was not
/// measured is not shown as a number.

/// "999", "1.23 k", "45.6 M", "2.00 G" (steps of 1000).
std::string count_text(double count);
/// "999 B", "1.23 kB", "45.6 MB" (steps of 1000).
std::string bytes_text(double bytes);
/// "12.3 us", "45.6 ms", "7.89 s", "3 min 20 s", "2 h 05 min".
std::string seconds_text(double seconds);
/// A fraction as percent with two decimals: 0.98765 -> "98.77 %".
std::string percent_text(double fraction);
/// `digits` decimals: fixed_text(0.12345, 4) -> "0.1235".
std::string fixed_text(double value, int digits);
/// How many times b goes into a: "2.50x".
std::string ratio_text(double a, double b);

}  // namespace espalier
