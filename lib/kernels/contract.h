#pragma once

#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Sums of products: y[o] = the sum over the summed axes of the product of all operands, each stepping through its memory by
/// strides of its own. Plain float; y is row-major over `kept`. For what is no matrix product: diagonals, sums, any number
/// of operands.
struct ContractProblem {
  Dims kept, summed;
  std::vector<Dims> strides;  ///< by operand: of the kept axes, then of the summed
};

/// Arguments: the operands, y.
std::unique_ptr<Kernel> contract(ContractProblem problem);

/// Of each element the product of the others along the axes marked in `reduced`: what the product's derivative is.
/// Arguments: x, y (another memory), plain float.
std::unique_ptr<Kernel> products_of_others(const Dims& dims, const std::vector<bool>& reduced);

}  // namespace espalier
