#pragma once

#include <string>
#include <vector>

#include "passes/pass.h"

namespace espalier {

/// How far one output of two models lies apart.
struct OutputDifference {
  std::string name;
  bool comparable = true;    ///< false: another type or shape; `detail` says which
  bool same_bits = true;
  double max_abs = 0;        ///< largest |a - b|; for strings, 1 where any differs
  double scale = 0;          ///< largest finite |a|
  double relative() const { return scale > 0 ? max_abs / scale : max_abs; }
  int64_t at = 0;            ///< flat index of the largest difference
  double a = 0, b = 0;       ///< the values there
  DataType type = DataType::undefined;
  Dims dims;
  std::string detail;
};

/// Share of the output's scale within which outputs count as equal: 1e-4 for float, 1e-9 for double, 2e-3 and 2e-2 for the
/// 16-bit floats, 0 otherwise.
double tolerance(DataType type);

/// Infinite or NaN against anything else is an infinite difference; NaN against NaN, and equal infinities, none.
OutputDifference difference(const std::string& name, const Tensor& a, const Tensor& b);

/// "output 'y': 0.25 against 0.5 at [0,3], error 0.5 of the scale, expected at most 0.0001".
std::string describe(const OutputDifference& difference, double expected);

/// Whether run_graph takes the fast executor: more than 50 million multiply-accumulates. Its rounding may differ between
/// graphs that are fused differently, so `exact` cannot be told from `equal` there.
bool large(const Graph& graph, const Feeds& feeds);

/// Runs a graph on host tensors: small ones by the plain reference, large ones by a plan where one can hold them. Throws Error(bad_data) where none can.
Feeds run_graph(const Graph& graph, const Feeds& feeds);

}  // namespace espalier
