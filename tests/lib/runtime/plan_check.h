#pragma once

#include <map>
#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace espalier::testing {

struct PlanCheck {
  double tolerance = 1e-5;      ///< relative to each output's scale
  float low = -2, high = 2;     ///< float inputs are uniform between
  int64_t integers = 4;         ///< integer inputs cycle through 0 ... integers - 1
  bool backward = true;         ///< and the gradients of all float inputs that are not called fixed...
  std::map<std::string, Tensor> feeds = {};  ///< instead of random ones
};

/// Runs a graph in text form as a plan, twice, and compares its outputs with the reference's, calculated in double: with
/// `backward` a squared error on the first output, and its gradients. Returns the operators that ran by reference.
std::set<std::string> check_plan(const std::string& text, const PlanCheck& how = {});

/// The same, and expects none.
void expect_fast(const std::string& text, const PlanCheck& how = {});

/// Gelu as exporters write it without the operator.
inline constexpr const char* kGeluByErf = R"(graph g (x: float[4,40]) -> (y) opset 13 {
  r: float[] = 1.41421356
  o: float[] = 1
  h: float[] = 0.5
  a = Div(x, r)
  b = Erf(a)
  c = Add(b, o)
  d = Mul(x, c)
  y = Mul(d, h)
})";
inline constexpr const char* kGeluByTanh = R"(graph g (x: float[4,40]) -> (y) opset 13 {
  t: float[] = 3
  k: float[] = 0.044715
  s: float[] = 0.79788456
  o: float[] = 1
  h: float[] = 0.5
  a = Pow(x, t)
  b = Mul(a, k)
  c = Add(x, b)
  d = Mul(c, s)
  e = Tanh(d)
  f = Add(e, o)
  i = Mul(x, f)
  y = Mul(i, h)
})";

}  // namespace espalier::testing
