#pragma once

#include <functional>

#include "lib/ops/cut.h"

namespace espalier {

/// A constant of the same elements taken by `index`, which works on tensors of any type of whole bytes. A constant that
/// DequantizeLinear makes stays quantized: its integers are taken, a scale per channel follows, and a DequantizeLinear
/// before this node makes the smaller constant; only a blocked one, and one whose rows lose other channels than each other,
/// become plain numbers. A value that is constant only for the sizes that were bound (a class token repeated for the batch) is
/// calculated from smaller constants where that can be said, else by one Gather.
ValueId cut_weight(CutContext& c, ValueId from, const std::function<Tensor(const Tensor&)>& index);

}  // namespace espalier
