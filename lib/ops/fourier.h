#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace espalier {

/// The roots of unity of a transform: w[j] = exp(-2 pi i j / length), conjugate for the inverse, which also divides by length.
class Turns {
 public:
  Turns(int64_t length, bool inverse);
  /// y[k] = sum over n of x[n] w[k n mod length], for as many k as y has; x has `length` elements.
  void sum(std::span<const std::complex<double>> x, std::span<std::complex<double>> y) const;

 private:
  std::vector<std::complex<double>> roots_;
  double scale_;
};

/// Of a spectrum of a real signal the first `present` numbers are given: sets the others by conjugate symmetry. The
/// imaginary parts of the first and, for an even length, of the middle one do not count.
void mirror(std::span<std::complex<double>> spectrum, int64_t present);

}  // namespace espalier
