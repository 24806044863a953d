#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// One axis of the result of a move, and where its positions lie in the source, in elements.
struct MoveAxis {
  int64_t size = 1;
  int64_t stride = 0;              ///< position i of the axis adds i * stride; may be 0 (repeated) or negative
  std::vector<int64_t> table = {}; ///< unless empty, position i adds table[i] instead; below 0: the fill
  int64_t to = 0;                  ///< stride in the result, where it is a box of a larger one; 0 on all axes: row-major
};

/// out[i0, i1, ...] = in[offset + at(0, i0) + at(1, i1) + ...], the result row-major or a box: transposition, repetition, cutting with
/// steps, padding, space to depth, for elements of 1, 2, 4, 8 or 16 bytes. Arguments: from, to.
struct Move {
  size_t width = 4;  ///< bytes of an element
  int64_t offset = 0;     ///< of the first element, in the source
  int64_t to_offset = 0;  ///< and in the result
  std::vector<MoveAxis> axes;
  std::array<std::byte, 16> fill{};  ///< the element written where an axis says so
};
std::unique_ptr<Kernel> move_elements(Move move);

}  // namespace espalier
