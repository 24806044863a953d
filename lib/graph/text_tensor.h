#pragma once

#include "lib/graph/text_scanner.h"
#include "lib/graph/type.h"
#include "lib/tensor/tensor.h"

namespace espalier::text {

/// True where a type follows (`float[`, `sequence(` ...). Takes nothing.
bool looking_at_type(Scanner& in);
Type parse_type(Scanner& in, int depth = 0);
/// What follows `type[dims]`: elements in braces, one number for a scalar, or a generator. Sizes must be known.
Tensor parse_elements(Scanner& in, const Type& type);

std::string print_type(const Type& type);
/// The elements, `{1, 2}`; `elided` beyond max_elements (-1: no limit).
std::string print_elements(const Tensor& tensor, int64_t max_elements);
/// A float that reads back as the same bits and is not mistaken for an integer: `1.0`, `1e-05`, `inf`.
std::string print_float(float value);

}  // namespace espalier::text
