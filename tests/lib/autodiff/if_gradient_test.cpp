// Gradients of If: of what its branches read from outside, for both conditions, nested, against central differences in double.

#include <gtest/gtest.h>

#include "lib/autodiff/differentiate.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

GradientCheck when(bool c, bool d = false) {
  GradientCheck options;
  options.feeds = {{"c", Tensor::scalar(c)}, {"d", Tensor::scalar(d)}};
  return options;
}

GRADIENT_TEST(IfGradient, FlowsThroughEitherBranch) {
  const std::string text = R"(graph g (c: bool[], d: bool[], x: float[n,3], w: float[3,4], v: float[3,4]) -> (y) opset 17 {
    h = Tanh(x)
    y = If(c) {then_branch = graph () -> (t) { t = MatMul(h, w) },
               else_branch = graph () -> (e) { m = MatMul(h, v)  e = Sigmoid(m) }}
  })";
  EXPECT_GRADIENTS(text, when(true));
  EXPECT_GRADIENTS(text, when(false));
}

GRADIENT_TEST(IfGradient, IsZeroForWhatTheOtherBranchReads) {
  const std::string text = R"(graph g (c: bool[], d: bool[], x: float[n,3], w: float[3], v: float[3]) -> (y) opset 17 {
    h = If(c) {then_branch = graph () -> (t) { t = Mul(x, w) }, else_branch = graph () -> (e) { e = Identity(x) }}
    y = Mul(h, v)
  })";
  EXPECT_GRADIENTS(text, when(true));
  EXPECT_GRADIENTS(text, when(false));
}

GRADIENT_TEST(IfGradient, OfScalars) {
  const std::string text = R"(graph g (c: bool[], d: bool[1], x: float[], w: float[]) -> (y) opset 17 {
    y = If(d) {then_branch = graph () -> (t) { t = Mul(x, w) }, else_branch = graph () -> (e) { e = Exp(w) }}
  })";
  for (const bool d : {true, false}) EXPECT_GRADIENTS(text, {.feeds = {{"c", Tensor::scalar(d)}, {"d", Tensor::of<bool>({1}, {d})}}});
}

GRADIENT_TEST(IfGradient, SumsSeveralOutputsAndSeveralReaders) {
  const std::string text = R"(graph g (c: bool[], d: bool[], x: float[2,3], w: float[2,3]) -> (y) opset 17 {
    a, b = If(c) {then_branch = graph () -> (t, u) { t = Mul(x, w)  u = Exp(t) },
                  else_branch = graph () -> (e, f) { e = Sub(x, w)  f = Mul(e, e) }}
    s = Mul(a, x)
    y = Add(s, b)
  })";
  EXPECT_GRADIENTS(text, when(true));
  EXPECT_GRADIENTS(text, when(false));
}

GRADIENT_TEST(IfGradient, GoesIntoNestedBranches) {
  const std::string text = R"(graph g (c: bool[], d: bool[], x: float[2,3], w: float[2,3], v: float[2,3]) -> (y) opset 17 {
    h = Tanh(w)
    y = If(c) {
      then_branch = graph () -> (t) {
        p = Mul(x, h)
        t = If(d) {then_branch = graph () -> (tt) { tt = Mul(p, v) }, else_branch = graph () -> (te) { q = Exp(p)  te = Add(q, h) }}
      },
      else_branch = graph () -> (e) { e = Mul(v, v) }}
  })";
  for (const bool c : {true, false}) {
    for (const bool d : {true, false}) EXPECT_GRADIENTS(text, when(c, d)) << c << d;
  }
}

GRADIENT_TEST(IfGradient, BranchesMayMakeDifferentShapes) {
  const std::string text = R"(graph g (c: bool[], d: bool[], x: float[2,3], w: float[2,3]) -> (y) opset 17 {
    h = If(c) {then_branch = graph () -> (t) { t = Concat(x, w) {axis = 0} }, else_branch = graph () -> (e) { e = Mul(x, w) }}
    k = Mul(h, h)
    y = ReduceSum(k) {keepdims = 0}
  })";
  GradientCheck options = when(true);
  options.output_is_loss = true;
  EXPECT_GRADIENTS(text, options);
  options.feeds["c"] = Tensor::scalar(false);
  EXPECT_GRADIENTS(text, options);
}

TEST(IfGradient, NamesTheNodeInABranchThatStopsIt) {
  const Graph g = parse_graph(R"(graph g (c: bool[], x: float[3]) -> (y) opset 17 {
    h = If(c) {then_branch = graph () -> (t) { "odd": t = Loop(_, c, x) {body = graph (i: int64[], k: bool[], a: float[3]) -> (k, b) { b = Neg(a) }} },
               else_branch = graph () -> (e) { e = Neg(x) }}
    y = ReduceSum(h) {keepdims = 0}
  })");
  const std::vector<ValueId> wanted = {g.find_value("x")};
  try {
    differentiate(g, g.find_value("y"), wanted);
    FAIL() << "it was differentiated";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("node 'odd' (Loop)"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace espalier::testing
