#include "lib/ops/fourier.h"

#include <cmath>
#include <numbers>

namespace espalier {

Turns::Turns(int64_t length, bool inverse) : scale_(inverse ? 1.0 / static_cast<double>(length) : 1.0) {
  for (int64_t j = 0; j < length; ++j) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(length);
    roots_.emplace_back(std::cos(angle), inverse ? std::sin(angle) : -std::sin(angle));
  }
}

void Turns::sum(std::span<const std::complex<double>> x, std::span<std::complex<double>> y) const {
  const size_t length = roots_.size();
  for (size_t k = 0; k < y.size(); ++k) {
    double real = 0, imaginary = 0;
    size_t turn = 0;
    for (const std::complex<double>& v : x) {
      const std::complex<double>& w = roots_[turn];
      real += v.real() * w.real() - v.imag() * w.imag();
      imaginary += v.real() * w.imag() + v.imag() * w.real();
      turn = (turn + k) % length;
    }
    y[k] = {real * scale_, imaginary * scale_};
  }
}

void mirror(std::span<std::complex<double>> spectrum, int64_t present) {
  const auto length = static_cast<int64_t>(spectrum.size());
  for (int64_t k = 1; k < length; ++k) {
    const int64_t other = length - k;
    if (k > length / 2 && other < present) spectrum[static_cast<size_t>(k)] = std::conj(spectrum[static_cast<size_t>(other)]);
  }
  spectrum[0] = spectrum[0].real();
  if (length % 2 == 0) spectrum[static_cast<size_t>(length / 2)] = spectrum[static_cast<size_t>(length / 2)].real();
}

}  // namespace espalier
