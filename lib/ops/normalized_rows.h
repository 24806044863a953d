#pragma once

#include <vector>

#include "lib/ops/gradient.h"

namespace espalier {

/// All axes of [N, C, d...] but the channels'.
std::vector<int64_t> channel_sum_axes(int64_t rank);

/// (x - mean) / sqrt(variance + epsilon) of input 0 over `axes`, built anew for a backward; without `subtract_mean`
/// x / sqrt(mean square + epsilon).
struct NormalizedRows {
  std::vector<int64_t> axes;
  bool subtract_mean;
  ValueId value, inverse;  ///< inverse: 1 / sqrt(...), its axes kept

  NormalizedRows(GradientContext& context, std::vector<int64_t> axes, double epsilon, bool subtract_mean);
  /// dx for the gradient g of `value`: inverse * (g - mean(g) - value * mean(g * value)).
  ValueId gradient(GradientContext& context, ValueId g) const;

 private:
  ValueId mean(GradientContext& context, ValueId v) const;
};

}  // namespace espalier
