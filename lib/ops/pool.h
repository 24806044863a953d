#pragma once

#include "lib/kernels/pool.h"
#include "lib/kernels/pool_loop.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"
#include "lib/ops/window.h"

namespace espalier {

// What the pools share. x: [N, C, D1 ...], y: [N, C, E1 ...].

/// Shape of a windowed pool; sets output 0 and, where wanted, output 1 (int64 indices).
void infer_pool(InferContext& c);
/// Shape [N, C, 1 ...] of a pool over all spatial axes.
void infer_global_pool(InferContext& c);
/// One FLOP per element under each window.
Cost cost_pool(const InferContext& c);
/// One FLOP per input element.
Cost cost_global_pool(const InferContext& c);

/// A windowed pool on known sizes.
struct Pool {
  explicit Pool(const EvaluateContext& c) : Pool(c.node(), c.input(0).dims()) {}
  Pool(const Node& node, const Dims& x);

  Window window;  ///< resolved
  Dims in, out;   ///< spatial sizes
  Dims dims;      ///< of the output
  int64_t planes, in_size, out_size;
  std::vector<TapRuns> taps;
};

/// A pool of the fast path: float, one to three spatial axes, no dilation; nothing where oneDNN's rules differ from ONNX's.
std::optional<PoolProblem> pool_problem(const Node& node, DataType type, const Dims& x, const Dims& y, PoolKind kind);
/// A pool over all spatial axes.
std::optional<PoolProblem> global_pool_problem(DataType type, const Dims& x, const Dims& y, PoolKind kind);
/// The forward and backward steps. For the backward: inputs that lend x's layout and carry dy.
bool lower_pool(LowerContext& c, std::optional<PoolProblem> problem);
bool lower_pool_grad(LowerContext& c, std::optional<PoolProblem> problem, size_t x, size_t dy);

/// The same by our own loops, for every window and, forward, 8-bit maxima: the pool of input 0 (MaxPool: with its indices),
/// and for its gradient the inputs that are x, y and dy; an average reads neither x nor y, a maximum no y. Without
/// kernel_shape the window is all of space. False for other types, empty tensors and enormous windows.
bool lower_pool_loop(LowerContext& c, PoolLoopProblem::Kind kind);
bool lower_pool_loop_grad(LowerContext& c, PoolLoopProblem::Kind kind, size_t x, size_t y, size_t dy);

/// The p of LpPool and GlobalLpPool: 2 by default, a float before version 2.
double lp_power(const Node& node);

/// AveragePool: what the sum at each output position is divided by: the elements under its window, those in the padding included
/// or not. Past the padding, where only ceil_mode leads, nothing counts.
std::vector<double> average_divisors(const Pool& pool, bool count_include_pad);

}  // namespace espalier
