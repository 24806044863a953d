#pragma once

#include <array>
#include <cstdint>

namespace espalier {

/// What a stream of random numbers is used for; streams of different uses are independent.
enum class RandomUse : uint32_t { weights = 1, shuffle = 2, augment = 3, dropout = 4, check_inputs = 5, test = 6 };

/// Counter-based random numbers (Philox4x32-10 of Random123, Salmon et al. 2011): a number is a function of
/// (seed, use, stream, index), so neither order nor threads matter.
class Random {
 public:
  Random(uint64_t seed, RandomUse use, uint32_t stream = 0) : seed_(seed), use_(use), stream_(stream) {}

  /// Four independent uniform 32-bit words at `index`.
  std::array<uint32_t, 4> words(uint64_t index) const;

  /// Uniform in [0, 1), 24 bits.
  float uniform(uint64_t index) const;
  /// Normal with mean 0 and standard deviation 1 (Box-Muller).
  float normal(uint64_t index) const;
  /// Uniform integer in [0, bound), bound > 0 (Lemire's multiplication, bias below 2^-32 * bound).
  uint64_t below(uint64_t index, uint64_t bound) const;

 private:
  uint64_t seed_;
  RandomUse use_;
  uint32_t stream_;
};

}  // namespace espalier
