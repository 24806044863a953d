// Fast steps against the reference: products, normalisations, softmax, reductions and elementwise chains.
#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"
#include "tests/lib/runtime/plan_check.h"

namespace espalier {
namespace {

std::map<std::string, Tensor> feeds_of(const Graph& graph, float low, float high) {
  std::map<std::string, Tensor> feeds;
  uint32_t stream = 0;
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    Tensor tensor(type.elem_type, *type.known_dims());
    const Random random(11, RandomUse::test, stream++);
    const auto to = tensor.mutable_data<float>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = low + (high - low) * random.uniform(i);
    feeds[graph.value(v).name] = tensor;
  }
  return feeds;
}

struct Run {
  double error = 0;  ///< relative to the output's scale
  PlanCounters counters;
};

/// Of a graph in text form, its one output against the reference in double.
Run run(const std::string& text, float low = -2, float high = 2) {
  const Graph graph = parse_graph(text);
  const auto feeds = feeds_of(graph, low, high);
  std::map<std::string, Tensor> wide;
  for (const auto& [name, tensor] : feeds) wide[name] = tensor.cast(DataType::float64);
  const auto expected = run_reference(graph, wide, {.in_double = true});
  ParameterStore store;
  CompileOptions options;
  options.frozen = true;
  Plan plan(graph, store, options);
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  for (int i = 0; i < 2; ++i) plan.run();
  Run result;
  result.counters = plan.counters();
  for (const auto& [name, tensor] : expected) {
    const auto a = plan.output_tensor(name).to_doubles(), e = tensor.to_doubles();
    double scale = 1e-6;
    for (const double v : e) scale = std::max(scale, std::abs(v));
    for (size_t i = 0; i < e.size(); ++i) {
      const double error = std::abs(a[i] - e[i]) / scale;
      result.error = std::max(result.error, std::isnan(error) ? INFINITY : error);
    }
  }
  return result;
}

std::string one(const std::string& declared, const std::string& node, int opset = 20, const std::string& constants = "") {
  return "graph g (" + declared + ") -> (y) opset " + std::to_string(opset) + " { " + constants + "\n y = " + node + " }";
}

void expect_fast(const std::string& text, float low = -2, float high = 2, double tolerance = 2e-6) {
  SCOPED_TRACE(text);
  const Run r = run(text, low, high);
  EXPECT_LT(r.error, tolerance);
  EXPECT_EQ(r.counters.fallback_steps, 0);
}

TEST(FastPath, ElementwiseMaths) {
  for (const std::string op : {"Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Erf", "Exp", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "Softplus", "Softsign", "Mish", "Gelu", "ThresholdedRelu", "LeakyRelu", "HardSigmoid", "HardSwish", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh"}) {
    expect_fast(one("x: float[3,37]", op + "(x)"), -1.5, 1.4);
  }
  for (const std::string op : {"Sqrt", "Log", "Reciprocal"}) expect_fast(one("x: float[3,37]", op + "(x)"), 0.1f, 3);
  for (const std::string op : {"Asin", "Acos", "Atanh"}) expect_fast(one("x: float[3,37]", op + "(x)"), -0.9f, 0.9f);
  expect_fast(one("x: float[3,37]", "Acosh(x)"), 1.1f, 3);
  expect_fast(one("x: float[3,37]", "Gelu(x) {approximate = \"tanh\"}"));
  expect_fast(one("x: float[2,3,5], s: float[3,1]", "PRelu(x, s)"));
  expect_fast(one("x: float[2,3,5], z: float[5]", "Mod(x, z) {fmod = 1}"), 0.3f, 3);
  expect_fast(one("x: float[2,3,5], z: float[5]", "Pow(x, z)"), 0.3f, 3);
  expect_fast(one("x: float[2,3,5]", "Pow(x, p)", 13, "p: float[] = 3"));
  expect_fast(one("x: float[2,3,5]", "Pow(x, p)", 13, "p: float[] = 0.75"), 0.1f, 3);
  expect_fast(one("x: float[2,3,5], z: float[3,1], w: float[1]", "Max(x, z, w)"));
}

TEST(FastPath, DecomposedGeluIsOneStep) {
  for (const std::string& text : {std::string(testing::kGeluByErf), std::string(testing::kGeluByTanh)}) {
    expect_fast(text, -4, 4);
    EXPECT_EQ(run(text).counters.steps, 1);
  }
}

TEST(FastPath, AChainThatReadsItsOwnMiddleTwiceIsOneStep) {
  const std::string text = R"(graph g (x: float[4,40]) -> (y) opset 13 {
    b: float[40] = fill(1)
    a = Add(x, b)
    s = Sigmoid(a)
    y = Mul(a, s)
  })";
  expect_fast(text);
  EXPECT_EQ(run(text).counters.steps, 1);
}

TEST(FastPath, Softmax) {
  for (const std::string op : {"Softmax", "LogSoftmax"}) {
    for (const std::string axis : {"0", "1", "2", "-1"}) expect_fast(one("x: float[3,70,5]", op + "(x) {axis = " + axis + "}"), -9, 9);
    expect_fast(one("x: float[3,70,5]", op + "(x) {axis = 1}", 11), -9, 9);
    expect_fast(one("x: float[2,3,130]", op + "(x) {axis = 1}"), -90, 90);
  }
}

TEST(FastPath, Reductions) {
  for (const std::string op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"}) {
    for (const std::string axes : {"[0]", "[1]", "[2]", "[0,1]", "[0,2]", "[1,2]", "[0,1,2]"}) {
      for (const std::string keep : {"0", "1"}) expect_fast(one("x: float[3,17,70]", op + "(x) {axes = " + axes + ", keepdims = " + keep + "}", 12));
    }
  }
  expect_fast(one("x: float[3,17,7]", "ReduceLogSum(x) {axes = [1]}", 12), 0.1f, 2);
  expect_fast(one("x: float[3,9,7]", "ReduceProd(x) {axes = [1]}", 12), 0.5f, 2);
  expect_fast(one("x: float[3,19]", "ReduceProd(x) {axes = [1]}", 12), 0.5f, 2);
}

TEST(FastPath, Normalisations) {
  expect_fast(one("x: float[3,5,70], s: float[70], b: float[70]", "LayerNormalization(x, s, b)"));
  expect_fast(one("x: float[3,5,7], s: float[5,7]", "LayerNormalization(x, s) {axis = 1}"));
  expect_fast(one("x: float[3,5,70], s: float[70]", "RMSNormalization(x, s)", 23));
  expect_fast(one("x: float[3,5,7,2], s: float[5], b: float[5]", "InstanceNormalization(x, s, b)"));
  expect_fast(one("x: float[3,6,7,2], s: float[6], b: float[6]", "GroupNormalization(x, s, b) {num_groups = 2}", 21));
  expect_fast(one("x: float[3,6,7,2]", "MeanVarianceNormalization(x)"));
  expect_fast(one("x: float[3,6,7,2]", "MeanVarianceNormalization(x) {axes = [1,2,3]}"));
  expect_fast(one("x: float[1,6,7,2]", "MeanVarianceNormalization(x)"));
  expect_fast(one("x: float[2,9,7,3]", "LRN(x) {size = 5, alpha = 0.5}"));
}

TEST(FastPath, ProductsOfEveryRank) {
  for (const auto& [a, b] : std::vector<std::pair<std::string, std::string>>{{"3,4", "4,5"}, {"2,3,4", "2,4,5"}, {"2,1,3,4", "5,4,6"}, {"3,4", "2,4,5"}, {"2,3,4", "4,5"}, {"4", "4,5"}, {"3,4", "4"}, {"4", "2,4,5"}, {"2,3,4", "4"}, {"4", "4"}}) {
    expect_fast(one("a: float[" + a + "], b: float[" + b + "]", "MatMul(a, b)"));
  }
  expect_fast(one("a: float[2,3,4]", "MatMul(a, w)", 13, "w: float[4,5] = fill(1)"));
}

/// Heads split off, scores, probabilities, values, heads merged: one step for each product, none for a Transpose.
TEST(FastPath, ProductsAbsorbTranspositionsAndBiases) {
  const std::string text = R"(graph g (x: float[2,7,12]) -> (y) opset 13 {
    wq: float[12,12] = fill(1)
    wk: float[12,12] = fill(2)
    wv: float[12,12] = fill(3)
    wo: float[12,12] = fill(4)
    bq: float[12] = fill(5)
    split: int64[4] = {0, 0, 3, 4}
    merge: int64[3] = {0, 0, 12}
    q0 = MatMul(x, wq)
    q1 = Add(q0, bq)
    k0 = MatMul(x, wk)
    v0 = MatMul(x, wv)
    q2 = Reshape(q1, split)
    k2 = Reshape(k0, split)
    v2 = Reshape(v0, split)
    q = Transpose(q2) {perm = [0,2,1,3]}
    k = Transpose(k2) {perm = [0,2,3,1]}
    v = Transpose(v2) {perm = [0,2,1,3]}
    s = MatMul(q, k)
    p = Softmax(s) {axis = -1}
    o = MatMul(p, v)
    t = Transpose(o) {perm = [0,2,1,3]}
    m = Reshape(t, merge)
    y = MatMul(m, wo)
  })";
  expect_fast(text);
  EXPECT_EQ(run(text).counters.steps, 7);
}

TEST(FastPath, ProductsByEquation) {
  for (const auto& [equation, a, b] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"ij,jk->ik", "3,4", "4,5"}, {"bqhd,bkhd->bhqk", "2,3,4,5", "2,6,4,5"}, {"bhqk,bkhd->bqhd", "2,4,3,6", "2,6,4,5"},
           {"ij,kj->ki", "3,4", "5,4"}, {"i,j->ij", "3", "4"}, {"bij,bij->b", "2,3,4", "2,3,4"}, {"nchw,oc->nohw", "2,3,4,5", "6,3"}}) {
    SCOPED_TRACE(equation);
    EXPECT_LT(run(one("a: float[" + a + "], b: float[" + b + "]", "Einsum(a, b) {equation = \"" + equation + "\"}")).error, 2e-6);
  }
  expect_fast(one("a: float[2,3,4,5], b: float[2,6,4,5]", "Einsum(a, b) {equation = \"bqhd,bkhd->bhqk\"}"));
}

}  // namespace
}  // namespace espalier
