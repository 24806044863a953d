#include "lib/base/random.h"

#include <Random123/philox.h>

#include <cmath>

namespace espalier {

std::array<uint32_t, 4> Random::words(uint64_t index) const {
  const r123::Philox4x32::ctr_type counter = {{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                               static_cast<uint32_t>(use_), stream_}};
  const r123::Philox4x32::key_type key = {{static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)}};
  const auto result = r123::Philox4x32()(counter, key);
  return {result[0], result[1], result[2], result[3]};
}

float Random::uniform(uint64_t index) const { return static_cast<float>(words(index)[0] >> 8) * 0x1p-24f; }

float Random::normal(uint64_t index) const {
  const auto w = words(index);
  const double u = (w[0] + 1.0) * 0x1p-32, v = w[1] * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

uint64_t Random::below(uint64_t index, uint64_t bound) const {
  const auto w = words(index);
  const uint64_t word = static_cast<uint64_t>(w[0]) << 32 | w[1];
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(static_cast<Wide>(word) * bound >> 64);
}

}  // namespace espalier
