#pragma once

#include "lib/tensor/tensor.h"

namespace espalier {

/// Types that are only stored and converted, never calculated in: the four 8-bit floats, float4e2m1, int4, uint4.
bool is_narrow(DataType type);

/// The numbers of a narrow tensor as float.
Tensor widen(const Tensor& x);

/// Numbers rounded to the nearest of a narrow float, halves to even; beyond the largest number that number with `saturate`
/// (always for float4e2m1), else infinity or NaN. int4 and uint4 truncate; floats beyond
/// their range saturate, integers keep the low 4 bits.
/// Source: ONNX, "Float stored in 8 bits" and Cast-23.
Tensor narrow(const Tensor& x, DataType type, bool saturate);

}  // namespace espalier
