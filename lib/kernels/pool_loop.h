#pragma once

#include <vector>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Neighbouring output positions under one tap of the window: outputs out, out + 1 ... read inputs in, in + step ...
struct PoolRun {
  int64_t out, in, length, step;
};

/// Pooling of any window (dilations, pads wider than the kernel, any number of axes) by our own loops. Memory is seen as
/// rows of positions of `block` channels (Layout::Channels).
struct PoolLoopProblem {
  enum class Kind : uint8_t { max, average, power };

  Kind kind = Kind::max;
  int64_t rows = 0, block = 1;
  int64_t in = 0, out = 0;         ///< positions of a row
  std::vector<PoolRun> runs = {};  ///< tap after tap
  std::vector<float> share = {};   ///< average: by output position, what its sum is multiplied by
  float power = 2;                 ///< power: (sum of |x|^power)^(1 / power)

  int64_t results() const { return rows * out * block; }
};

/// Arguments: x, y. float; max also int8 and uint8. Of equal maxima the first counts; a NaN wins.
std::unique_ptr<Kernel> pool_loop(PoolLoopProblem problem, DataType type);
/// Maxima and where they stand: plane * in + number_of[position], or the position where `number_of` is empty; -1 under an
/// empty window. block 1, float. Arguments: x, y, indices (int64), scratch of results() int32.
std::unique_ptr<Kernel> pool_loop_with_indices(PoolLoopProblem problem, std::vector<int64_t> number_of);
/// float. Arguments: max: x, dy, dx, scratch of results() floats and as many int32. average: dy, dx. power: x, y, dy, dx.
std::unique_ptr<Kernel> pool_loop_backward(PoolLoopProblem problem);

/// MaxUnpool: y = 0, then each x at its index, the last one where several share it. An index counts through `counted`, and
/// lands at the same coordinates of `to`. run() throws Error(bad_data) naming `where` for an index out of range.
struct UnpoolProblem {
  int64_t elements;     ///< of x
  Dims counted, to;     ///< of one rank
  std::string where;
};

/// Arguments: x, indices (int64), y.
std::unique_ptr<Kernel> unpool(UnpoolProblem problem);
/// Arguments: dy, indices, dx, scratch of as many int64 as y has elements.
std::unique_ptr<Kernel> unpool_backward(UnpoolProblem problem);

}  // namespace espalier
