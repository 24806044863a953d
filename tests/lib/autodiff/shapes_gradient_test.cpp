// Gradients at the shapes, attributes and values that the tests by family leave out: scalars, axes of size 1 and 0, high ranks,
// negative and empty lists of axes, ties, old forms.
#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

const std::string kShapes[] = {"", "1", "n,1,3", "n,1,2,1,3"};

std::string x_of(const std::string& dims) { return "x: float[" + dims + "]"; }

/// The same with a loss that is finite where there are no elements.
std::string summed(const std::string& declared, const std::string& node, const std::string& constants = "", int opset = 17) {
  return "graph g (" + declared + ") -> (l) opset " + std::to_string(opset) + " { " + constants + "\n y = " + node +
         "\n l = ReduceSumSquare(y) {keepdims = 0} }";
}

GRADIENT_TEST(ShapesGradient, UnaryOperatorsAtEveryRank) {
  for (const std::string& dims : kShapes) {
    for (const std::string op : {"Neg", "Abs", "Exp", "Erf", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Atanh", "Identity"}) {
      EXPECT_GRADIENTS(one(x_of(dims), op + "(x)"), {.low = -0.9, .high = 0.9}) << op << dims;
    }
    for (const std::string op : {"Sqrt", "Log", "Reciprocal"}) EXPECT_GRADIENTS(one(x_of(dims), op + "(x)"), {.low = 0.5, .high = 2}) << op << dims;
    EXPECT_GRADIENTS(one(x_of(dims), "Acosh(x)"), {.low = 1.5, .high = 3}) << dims;
  }
  for (const std::string op : {"Reciprocal", "Tan"}) EXPECT_GRADIENTS(one(x_of("n,4"), op + "(x)"), {.low = -1.4, .high = -0.3}) << op;
}

GRADIENT_TEST(ShapesGradient, ActivationsAtEveryRank) {
  for (const std::string& dims : kShapes) {
    for (const std::string node : {"Relu(x)", "Sigmoid(x)", "Tanh(x)", "LeakyRelu(x) {alpha = 0.3}", "HardSigmoid(x) {alpha = 0.4, beta = 0.2}", "HardSwish(x)",
                                   "Elu(x) {alpha = 1.5}", "Selu(x) {alpha = 0.8, gamma = 1.3}", "Celu(x) {alpha = 0.7}", "Softplus(x)", "Softsign(x)",
                                   "ThresholdedRelu(x) {alpha = 0.5}", "Mish(x)", "Shrink(x) {bias = 0.3, lambd = 1.0}"}) {
      EXPECT_GRADIENTS(one(x_of(dims), node, "", 18), {.low = -2.9, .high = 2.7}) << node << dims;
    }
    EXPECT_GRADIENTS(one(x_of(dims), "Gelu(x)", "", 20)) << dims;
    EXPECT_GRADIENTS(one(x_of(dims), "Swish(x) {alpha = 1.7}", "", 24)) << dims;
    EXPECT_GRADIENTS(one(x_of(dims), "Dropout(x)")) << dims;
    EXPECT_GRADIENTS(one(x_of(dims), "Clip(x, lo, hi)", "lo: float[] = {-0.47}\n hi: float[] = {0.6}")) << dims;
  }
  EXPECT_GRADIENTS(one("x: float[n,6]", "Dropout(x, r, t) {seed = 3}", "r: float[] = {0.5}\n t: bool[] = {false}"));
}

GRADIENT_TEST(ShapesGradient, WithoutElements) {
  const GradientCheck loss{.output_is_loss = true};
  for (const std::string node : {"Neg(x)", "Relu(x)", "Tanh(x)", "HardSwish(x)", "Softmax(x) {axis = 1}", "Transpose(x)", "ReduceSum(x) {keepdims = 0}",
                                 "Concat(x, x) {axis = 1}", "CumSum(x, one)", "Expand(x, s)", "Mul(x, x)", "Trilu(x)"}) {
    EXPECT_GRADIENTS(summed("x: float[0,3]", node, "one: int64[] = {1}\n s: int64[3] = {2, 1, 3}"), loss) << node;
  }
  EXPECT_GRADIENTS(summed("x: float[0,3], w: float[3,4], b: float[4]", "Gemm(x, w, b)"), loss);
  EXPECT_GRADIENTS(summed("x: float[0,3], w: float[3,4]", "MatMul(x, w)"), loss);
  EXPECT_GRADIENTS(summed("x: float[n,0], w: float[0,4]", "MatMul(x, w)"), loss) << "sums of nothing";
  EXPECT_GRADIENTS(summed("x: float[0,2,4,4], w: float[3,2,3,3], b: float[3]", "Conv(x, w, b)"), loss);
  EXPECT_GRADIENTS(summed("x: float[0,2,4,4]", "MaxPool(x) {kernel_shape = [2,2]}"), loss);
  EXPECT_GRADIENTS(summed("a: float[0,3], b: float[3]", "Add(a, b)"), loss);
  EXPECT_GRADIENTS(summed("a: float[0,3], b: float[1,3]", "Div(a, b)"), {.low = 0.5, .high = 2, .output_is_loss = true});
  EXPECT_GRADIENTS(summed("x: float[4,3]", "Gather(x, i)", "i: int64[0] = {}"), loss) << "no row is read";
  EXPECT_GRADIENTS(summed("a: float[0,3], b: float[2,3]", "Concat(a, b) {axis = 0}"), loss);
}

GRADIENT_TEST(ShapesGradient, OperandsOfEveryBroadcast) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Mod"}) {
    const std::string node = op + "(a, b)" + (op == "Mod" ? " {fmod = 1}" : "");
    const GradientCheck options{.low = 0.45, .high = 2.2};
    for (const std::string shapes : {"a: float[], b: float[]", "a: float[1], b: float[]", "a: float[n,1], b: float[1,3]", "a: float[1,1,3], b: float[n,4,1]",
                                     "a: float[n,3], b: float[1,1,1]", "a: float[3], b: float[n,2,1,3]"}) {
      if (op == "Mod" && shapes.find("a: float[n,3]") == 0) continue;  // a divisor of many: jumps of the quotient
      EXPECT_GRADIENTS(one(shapes, node), options) << op << shapes;
    }
  }
  EXPECT_GRADIENTS(one("a: float[n,1], b: float[1,3]", "Pow(a, b)"), {.low = 0.5, .high = 2});
  EXPECT_GRADIENTS(one("a: float[], b: float[n,3]", "Pow(a, b)"), {.low = 0.5, .high = 2});
  EXPECT_GRADIENTS(one("x: float[n,4]", "Pow(x, p)", "p: float[] = {3}"), {.low = -2, .high = 2}) << "bases below zero";
  EXPECT_GRADIENTS(one("x: float[4]", "Pow(x, p)", "p: float[] = {2}"), {.feeds = {{"x", Tensor::of<float>({4}, {0, -1, 2, 0})}}}) << "zero squared";
  EXPECT_GRADIENTS(one("a: float[n,2], c: float[2,2]", "PRelu(a, c)"));
  EXPECT_GRADIENTS(one("a: float[1], c: float[1]", "PRelu(a, c)"));
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3]", "Mul(a, b) {broadcast = 1}", "", 6)) << "ONNX's first broadcast";
}

TEST(ShapesGradient, OldBroadcastsAlongAnAxisAreRefused) {
  try {
    check_gradients(one("a: float[n,3,2], b: float[3]", "Add(a, b) {axis = 1, broadcast = 1}", "", 6));
    FAIL() << "it was differentiated";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("(Add): cannot be differentiated: opset 6 broadcasts it along an axis"), std::string::npos) << e.what();
  }
}

GRADIENT_TEST(ShapesGradient, TypesThatAreCastAndBack) {
  EXPECT_GRADIENTS("graph g (x: float[]) -> (y) { w = Cast(x) {to = 11}\n y = Cast(w) {to = 1} }");
  EXPECT_GRADIENTS("graph g (x: float[n,1,3]) -> (y) opset 19 { w = Cast(x) {to = 11, saturate = 0}\n s = Exp(w)\n y = Cast(s) {to = 1} }");
  EXPECT_GRADIENTS("graph g (x: float[n,3], t: double[1]) -> (y) { w = CastLike(x, t)\n s = Mul(w, w)\n y = CastLike(s, x) }", {.fixed = {"t"}});
  EXPECT_GRADIENTS("graph g (x: float[], t: double[]) -> (y) { w = CastLike(x, t)\n s = Mul(w, t)\n y = CastLike(s, x) }");
  EXPECT_GRADIENTS("graph g (x: double[1,3,1], t: float[2]) -> (y) opset 19 { y = CastLike(x, t) {saturate = 0} }", {.fixed = {"t"}});
}

GRADIENT_TEST(ShapesGradient, StepsHaveNoSlope) {
  for (const std::string op : {"Floor", "Ceil", "Round", "Sign"}) {
    for (const std::string& dims : kShapes) {
      EXPECT_GRADIENTS("graph g (x: float[" + dims + "]) -> (y) { s = " + op + "(x)\n y = Mul(s, x) }", {.low = -2.1, .high = 2.3}) << op << dims;
    }
  }
}

GRADIENT_TEST(ShapesGradient, HardmaxHasNoSlope) {
  for (const std::string dims : {"4", "n,3", "n,3,2"}) {
    for (const std::string axis : {"0", "-1"}) {
      EXPECT_GRADIENTS("graph g (x: float[" + dims + "]) -> (y) { h = Hardmax(x) {axis = " + axis + "}\n y = Mul(h, x) }") << dims << axis;
    }
  }
}

GRADIENT_TEST(ShapesGradient, ReductionsOfEveryKindOfAxes) {
  for (const std::string op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum"}) {
    const GradientCheck options{.low = op == "ReduceLogSum" ? 0.5 : -1.1, .high = 2};
    EXPECT_GRADIENTS(one("x: float[n,1,3]", op + "(x, a)", "a: int64[1] = {1}", 18), options) << op << ": an axis of one";
    EXPECT_GRADIENTS(one("x: float[n,2,3]", op + "(x, a) {keepdims = 0}", "a: int64[2] = {-1, -3}", 18), options) << op << ": negative axes";
    EXPECT_GRADIENTS(one("x: float[5]", op + "(x, a) {keepdims = 0}", "a: int64[1] = {0}", 18), options) << op;
    EXPECT_GRADIENTS(one("x: float[]", op + "(x)", "", 18), options) << op << ": a scalar";
    EXPECT_GRADIENTS(one("x: float[n,3]", op + "(x, a)", "a: int64[0] = {}", 18), options) << op << ": an empty list is all axes";
    EXPECT_GRADIENTS(one("x: float[n,1,2,1,2]", op + "(x, a) {keepdims = 0}", "a: int64[3] = {0, 2, 3}", 18), options) << op;
    EXPECT_GRADIENTS(one("x: float[n,3]", op + "(x) {keepdims = 0}", "", 11), options) << op;
    if (op == "ReduceLogSumExp" || op == "ReduceSum" || op == "ReduceMean" || op == "ReduceMax" || op == "ReduceMin" || op == "ReduceProd") {
      EXPECT_GRADIENTS(one("x: float[n,3]", op + "(x, a) {noop_with_empty_axes = 1}", "a: int64[0] = {}", 18), options) << op << ": or none";
    }
  }
  // Without axes to reduce they still do to each element what they do to a sum of one.
  for (const std::string op : {"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"}) {
    EXPECT_GRADIENTS(one("x: float[n,3]", op + "(x, a) {noop_with_empty_axes = 1}", "a: int64[0] = {}", 18), {.low = 0.5, .high = 2}) << op;
  }
  EXPECT_GRADIENTS(one("x: float[n,1,2,3]", "GlobalAveragePool(x)"));
  EXPECT_GRADIENTS(one("x: float[n,1,1,1]", "GlobalAveragePool(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,1]", "GlobalMaxPool(x)"));
  EXPECT_GRADIENTS(one("x: float[1,2,2,3,2]", "GlobalLpPool(x) {p = 3}"));
}

/// The norm has no slope where all is zero; 0 is one of those that lie between.
TEST(ShapesGradient, ANormOfZerosHasTheGradientZero) {
  const Graph graph = parse_graph("graph g (x: float[2,3]) -> (l) opset 18 { a: int64[1] = {1}\n n = ReduceL2(x, a)\n l = ReduceSum(n) {keepdims = 0} }");
  const ValueId x = graph.find_value("x");
  const TrainingGraph training = differentiate(graph, graph.find_value("l"), std::vector<ValueId>{x});
  Graph outputs = training.graph;
  outputs.outputs = {training.gradients.at(0).grad};
  const auto found = run_reference(outputs, {{"x", Tensor::of<float>({2, 3}, {0, 0, 0, 3, 0, 4})}});
  const auto grad = found.begin()->second.to_doubles();
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(grad[i], (std::vector<double>{0, 0, 0, 0.6, 0, 0.8})[i], 1e-6) << i;
}

GRADIENT_TEST(ShapesGradient, NormalizationsOfFewAndManyAxes) {
  for (const std::string dims : {"n,3", "3,1,4", "n,2,3,2,2"}) {
    EXPECT_GRADIENTS(one(x_of(dims), "LpNormalization(x) {axis = 1, p = 1}"), {.low = -1.1, .high = 2}) << dims;
    EXPECT_GRADIENTS(one(x_of(dims), "LpNormalization(x)")) << dims;
  }
  EXPECT_GRADIENTS(one("x: float[4,3]", "MeanVarianceNormalization(x) {axes = [0]}"));
  EXPECT_GRADIENTS(one("x: float[n,2,3]", "MeanVarianceNormalization(x) {axes = [-1]}"));
  EXPECT_GRADIENTS(one("x: float[n,1,2,2]", "LRN(x) {size = 3}"));
  EXPECT_GRADIENTS(one("x: float[n,7,1]", "LRN(x) {size = 5, alpha = 0.5, beta = 0.25, bias = 0.5}"));
  EXPECT_GRADIENTS(one("x: float[n,4,3], s: float[4], b: float[4]", "GroupNormalization(x, s, b) {num_groups = 4, stash_type = 1}", "", 21));
  EXPECT_GRADIENTS(one("x: float[n,4], s: float[4], b: float[4]", "LayerNormalization(x, s, b) {stash_type = 1}"));
  EXPECT_GRADIENTS(one("x: float[n,4], s: float[4]", "RMSNormalization(x, s) {stash_type = 1}", "", 23));
}

GRADIENT_TEST(ShapesGradient, BatchNormalizationByItsStatistics) {
  const GradientCheck options{.low = 0.1, .high = 2};
  EXPECT_GRADIENTS(one("x: float[4,3,2,2], s: float[3], b: float[3], m: float[3], v: float[3]", "BatchNormalization(x, s, b, m, v) {momentum = 0.7}"), options);
  EXPECT_GRADIENTS(one("x: float[n,3], s: float[3], b: float[3], m: float[3], v: float[3]", "BatchNormalization(x, s, b, m, v) {epsilon = 0.1}"), options);
  EXPECT_GRADIENTS(one("x: float[1,1,5], s: float[1], b: float[1], m: float[1], v: float[1]", "BatchNormalization(x, s, b, m, v)"), options);
}

GRADIENT_TEST(ShapesGradient, SoftmaxAlongAxesOfOneAndInOldForms) {
  for (const std::string op : {"Softmax", "LogSoftmax"}) {
    EXPECT_GRADIENTS(one("x: float[n,1,3]", op + "(x) {axis = 1}")) << op;
    EXPECT_GRADIENTS(one("x: float[3]", op + "(x) {axis = 0}")) << op;
    EXPECT_GRADIENTS(one("x: float[n,2,1,2,3]", op + "(x) {axis = -2}")) << op;
    EXPECT_GRADIENTS(one("x: float[n,2,3]", op + "(x)", "", 11)) << op << " flattens from axis 1";
    EXPECT_GRADIENTS(one("x: float[n,2,3]", op + "(x) {axis = 2}", "", 11)) << op;
  }
}

GRADIENT_TEST(ShapesGradient, MovementsOfFewAndManyAxes) {
  EXPECT_GRADIENTS(one("x: float[3]", "Transpose(x)"));
  EXPECT_GRADIENTS(one("x: float[n,1,2,1,3]", "Transpose(x) {perm = [4,0,3,2,1]}"));
  EXPECT_GRADIENTS(one("x: float[]", "Flatten(x) {axis = 0}"));
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Flatten(x) {axis = 0}"));
  EXPECT_GRADIENTS(one("x: float[n,3,1]", "Flatten(x) {axis = -1}"));
  EXPECT_GRADIENTS(one("x: float[n,3]", "Reshape(x, s) {allowzero = 1}", "s: int64[3] = {3, 1, 2}"));
  EXPECT_GRADIENTS(one("x: float[1]", "Reshape(x, s)", "s: int64[0] = {}")) << "to a scalar";
  EXPECT_GRADIENTS(one("x: float[n,4]", "Reshape(x) {shape = [4, -1]}", "", 1));
  EXPECT_GRADIENTS(one("x: float[1,2,1,3]", "Squeeze(x)")) << "all axes of one";
  EXPECT_GRADIENTS(one("x: float[1,n,1,3]", "Squeeze(x, a)", "a: int64[2] = {0, -2}"));
  EXPECT_GRADIENTS(one("x: float[]", "Unsqueeze(x, a)", "a: int64[2] = {1, 0}"));
  EXPECT_GRADIENTS(one("x: float[n,2,3]", "Unsqueeze(x, a)", "a: int64[1] = {-2}"));
  EXPECT_GRADIENTS(one("x: float[3]", "Tile(x, r)", "r: int64[1] = {4}"));
  EXPECT_GRADIENTS(one("x: float[n,1,2,1]", "Tile(x, r)", "r: int64[4] = {1, 3, 2, 2}"));
  EXPECT_GRADIENTS(one("x: float[n,3,3,2]", "Trilu(x)"));
  EXPECT_GRADIENTS(one("x: float[n,2,3]", "Trilu(x, k)", "k: int64[] = 5")) << "nothing is left";
  EXPECT_GRADIENTS(one("x: float[3,4]", "Trilu(x, k) {upper = 0}", "k: int64[] = 1"));
  EXPECT_GRADIENTS(one("x: float[1,9,1,2]", "DepthToSpace(x) {blocksize = 3}"));
  EXPECT_GRADIENTS(one("x: float[1,1,3,3]", "SpaceToDepth(x) {blocksize = 3}"));
  EXPECT_GRADIENTS(one("x: float[4]", "Compress(x, c) {axis = 0}", "c: bool[2] = {false, true}")) << "a short condition";
  EXPECT_GRADIENTS(one("x: float[n,3,2]", "CenterCropPad(x, s) {axes = [2, 1]}", "s: int64[2] = {5, 1}", 18));
  EXPECT_GRADIENTS(one("x: float[n,4,4]", "Col2Im(x, i, b) {pads = [0,1], strides = [2]}", "i: int64[1] = {10}\n b: int64[1] = {4}", 18));
}

GRADIENT_TEST(ShapesGradient, PartsOfEveryForm) {
  const auto split = [](const std::string& dims, const std::string& node, const std::string& constants, int opset) {
    return "graph g (x: float[" + dims + "]) -> (y) opset " + std::to_string(opset) + " { " + constants + "\n a, b = " + node +
           "\n c = ReduceSumSquare(a) {keepdims = 0}\n d = ReduceMean(b) {keepdims = 0}\n y = Mul(c, d) }";
  };
  EXPECT_GRADIENTS(split("n,5", "Split(x) {num_outputs = 2, axis = 1}", "", 18)) << "the last one is smaller";
  EXPECT_GRADIENTS(split("5,2", "Split(x, s) {axis = -2}", "s: int64[2] = {4, 1}", 13));
  EXPECT_GRADIENTS(split("n,5", "Split(x) {split = [2, 3], axis = 1}", "", 11));
  EXPECT_GRADIENTS("graph g (x: float[n,4]) -> (y) { _, y = Split(x) {axis = 1} }") << "the first is not used";
  EXPECT_GRADIENTS(one("a: float[n,1], b: float[n,3], c: float[n,2]", "Concat(a, b, c) {axis = -1}"));
  EXPECT_GRADIENTS(one("a: float[3]", "Concat(a) {axis = 0}"));
  EXPECT_GRADIENTS(one("x: float[1,3]", "Slice(x, s, e)", "s: int64[2] = {0, -2}\n e: int64[2] = {9, 3}"));
  EXPECT_GRADIENTS(one("x: float[4]", "Gather(x, i)", "i: int64[] = {-1}"));
  EXPECT_GRADIENTS(one("x: float[n,1,3]", "Gather(x, i) {axis = 1}", "i: int64[1,2] = {0, 0}"));
  EXPECT_GRADIENTS(one("x: float[3,4], u: float[3,2]", "Scatter(x, i, u) {axis = 1}", "i: int64[3,2] = {0, 1, 3, 2, 2, 1}", 9));
  EXPECT_GRADIENTS(one("x: float[n,3], u: float[1,3]", "Scatter(x, i, u)", "i: int64[1,3] = {0, 1, 0}", 10));
  EXPECT_GRADIENTS("graph g (x: float[3,5]) -> (y) { k: int64[1] = {3}\n y, _ = TopK(x, k) {sorted = 0} }");
  EXPECT_GRADIENTS("graph g (x: float[5]) -> (y) { k: int64[1] = {5}\n y, _ = TopK(x, k) }");
}

GRADIENT_TEST(ShapesGradient, WindowsOfEveryForm) {
  EXPECT_GRADIENTS(one("x: float[n,4,6,5], w: float[6,4,3,3], b: float[6]", "Conv(x, w, b) {kernel_shape = [3,3]}"));
  EXPECT_GRADIENTS(one("x: float[1,1,1,1], w: float[1,1,1,1], b: float[1]", "Conv(x, w, b)"));
  EXPECT_GRADIENTS(one("x: float[n,3,1,4], w: float[2,3,1,1]", "Conv(x, w) {strides = [1,3]}"));
  EXPECT_GRADIENTS(one("x: float[n,6,4], w: float[6,1,2], b: float[6]", "Conv(x, w, b) {group = 6, dilations = [2], strides = [2], pads = [2,1]}"));
  EXPECT_GRADIENTS(one("x: float[n,1,2,2], w: float[1,1,5,5]", "Conv(x, w) {pads = [2,2,2,2]}")) << "a kernel larger than the image";
  for (const std::string op : {"MaxPool", "AveragePool", "LpPool"}) {
    for (const std::string pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
      EXPECT_GRADIENTS(one("x: float[n,1,5,4]", op + "(x) {kernel_shape = [2,3], strides = [2,2], auto_pad = \"" + pad + "\"}", "", 18)) << op << pad;
    }
    EXPECT_GRADIENTS(one("x: float[1,1,1]", op + "(x) {kernel_shape = [1]}")) << op;
    EXPECT_GRADIENTS(one("x: float[n,2,2,3]", op + "(x) {kernel_shape = [2,3]}")) << op << " of the whole image";
  }
  EXPECT_GRADIENTS(one("x: float[n,2,4,3]", "MaxPool(x) {kernel_shape = [2,2], storage_order = 1}"));
  EXPECT_GRADIENTS("graph g (x: float[n,2,4,3]) -> (y) { y, i = MaxPool(x) {kernel_shape = [2,2]} }") << "with indices";
  EXPECT_GRADIENTS(one("x: float[1,1,2,2]", "MaxUnpool(x, i) {kernel_shape = [2, 2], strides = [2, 2], pads = [0,1,1,0]}", "i: int64[1,1,2,2] = {0, 2, 4, 5}", 17));
  EXPECT_GRADIENTS(one("x: float[1,2,3]", "MaxUnpool(x, i) {kernel_shape = [2], strides = [2]}", "i: int64[1,2,3] = {0, 3, 4, 7, 9, 10}", 17));
  EXPECT_GRADIENTS(one("x: float[n,1,4,4]", "MaxRoiPool(x, r) {pooled_shape = [1, 1]}", "r: float[1,5] = {1, 0, 0, 3, 3}"));
  EXPECT_GRADIENTS(one("x: float[n,3,5,7]", "MaxRoiPool(x, r) {pooled_shape = [2, 3], spatial_scale = 1.5}", "r: float[2,5] = {1, 0, 1, 2, 3, 0, 0, 0, 6, 4}"));
  EXPECT_GRADIENTS(one("x: float[n,1,4,5]", "Resize(x, _, s) {mode = \"cubic\", cubic_coeff_a = -0.5}", "s: float[4] = {1, 1, 1.7, 0.6}"));
}

GRADIENT_TEST(ShapesGradient, RegionsSequencesAndScales) {
  EXPECT_GRADIENTS(one("x: float[1,1,4,4]", "RoiAlign(x, r, b) {coordinate_transformation_mode = \"output_half_pixel\"}",
                       "r: float[1,4] = {0.3, 0.2, 3.1, 2.7}\n b: int64[1] = {0}", 16));
  EXPECT_GRADIENTS(one("x: float[4,1,3]", "ReverseSequence(x, l)", "l: int64[1] = {2}"));
  EXPECT_GRADIENTS(one("x: float[n,3]", "ReverseSequence(x, l) {batch_axis = 0, time_axis = 1}", "l: int64[2] = {1, 3}"));
  EXPECT_GRADIENTS(one("x: float[1,1,2]", "Upsample(x, s) {mode = \"nearest\"}", "s: float[3] = {1, 1, 2.5}", 9));
}

GRADIENT_TEST(ShapesGradient, LossesThatShowTheirProbabilities) {
  const GradientCheck options{.feeds = {{"t", Tensor::of<int64_t>({2, 3}, {0, 3, 1, 2, 2, 1})}}};
  const std::string inputs = "graph g (x: float[2,4,3], t: int64[2,3]) -> (y) ";
  EXPECT_GRADIENTS(inputs + "{ l, y = SoftmaxCrossEntropyLoss(x, t) }", options);
  EXPECT_GRADIENTS(inputs + "{ _, y = SoftmaxCrossEntropyLoss(x, t) }", options);
  EXPECT_GRADIENTS(inputs + "{ w: float[4] = {0.5, 2, 0.1, 1}\n l, p = SoftmaxCrossEntropyLoss(x, t, w) {ignore_index = 3, reduction = \"sum\"}\n y = Mul(l, p) }", options);
  EXPECT_GRADIENTS("graph g (x: float[n,4], t: int64[2]) -> (y) { l, p = SoftmaxCrossEntropyLoss(x, t) {reduction = \"none\"}\n s = ReduceMax(p) {axes = [1], keepdims = 0}\n y = Mul(l, s) }",
                   {.feeds = {{"t", Tensor::of<int64_t>({2}, {3, 1})}}});
}

GRADIENT_TEST(ShapesGradient, RecurrentActivationsWithParameters) {
  const std::string given = "activations = [\"LeakyRelu\", \"Affine\"], activation_alpha = [0.3, 0.7], activation_beta = [0.2]";
  EXPECT_GRADIENTS("graph g (x: float[3,2,3], w: float[1,6,3], r: float[1,6,2], b: float[1,12]) -> (y) { y = GRU(x, w, r, b) {" + given + "} }");
  for (const std::string f : {"ScaledTanh", "Affine", "HardSigmoid"}) {
    EXPECT_GRADIENTS("graph g (x: float[1,1,3], w: float[1,2,3], r: float[1,2,2]) -> (y) { y = RNN(x, w, r) {activations = [\"" + f +
                     "\"], activation_alpha = [0.6], activation_beta = [0.4]} }") << f;
  }
  EXPECT_GRADIENTS("graph g (x: float[1,1,1], w: float[1,4,1], r: float[1,4,1], b: float[1,8]) -> (y) { y = LSTM(x, w, r, b) }") << "all sizes one";
}

}  // namespace
}  // namespace espalier::testing
