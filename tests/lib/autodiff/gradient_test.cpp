// Every gradient against central differences in double.
#include <gtest/gtest.h>

#include "lib/ops/op.h"
#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

GRADIENT_TEST(Gradient, Arithmetic) {
  for (const std::string op : {"Add", "Sub", "Mul"}) {
    EXPECT_GRADIENTS(one("a: float[n,3], b: float[n,3]", op + "(a, b)"));
    EXPECT_GRADIENTS(one("a: float[n,3,4], b: float[3,1]", op + "(a, b)"));
    EXPECT_GRADIENTS(one("a: float[4], b: float[n,1,4]", op + "(a, b)"));
    EXPECT_GRADIENTS(one("a: float[], b: float[2,2]", op + "(a, b)"));
    EXPECT_GRADIENTS(one("a: float[2,3]", op + "(a, a)"));
  }
  EXPECT_GRADIENTS(one("a: float[n,3,4], b: float[3,1]", "Div(a, b)"), {.low = 0.5, .high = 2});
  EXPECT_GRADIENTS(one("a: float[1], b: float[2,2]", "Div(a, b)"), {.low = -2, .high = -0.5});
}

GRADIENT_TEST(Gradient, SumAndMean) {
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3], c: float[n,1]", "Sum(a, b, c)"));
  EXPECT_GRADIENTS(one("a: float[n,3]", "Sum(a)"));
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3], c: float[n,1]", "Mean(a, b, c)"));
}

GRADIENT_TEST(Gradient, MaxAndMin) {
  for (const std::string op : {"Max", "Min"}) {
    EXPECT_GRADIENTS(one("a: float[n,3], b: float[n,3]", op + "(a, b)"));
    EXPECT_GRADIENTS(one("a: float[n,3], b: float[3], c: float[]", op + "(a, b, c)"));
  }
}

GRADIENT_TEST(Gradient, Pow) {
  EXPECT_GRADIENTS(one("x: float[2,3]", "Pow(x, p)", "p: float[] = {2}"));
  EXPECT_GRADIENTS(one("x: float[2,3]", "Pow(x, p)", "p: int64[] = {3}"));
  EXPECT_GRADIENTS(one("x: float[2,3]", "Pow(x, p)", "p: float[3] = {2, 0.5, -1}"), {.low = 0.5, .high = 2});
  EXPECT_GRADIENTS(one("x: float[2,3], p: float[3]", "Pow(x, p)"), {.low = 0.5, .high = 2});
}

GRADIENT_TEST(Gradient, UnaryMaths) {
  for (const std::string op : {"Neg", "Abs", "Exp", "Erf"}) EXPECT_GRADIENTS(one("x: float[n,5]", op + "(x)"));
  for (const std::string op : {"Sqrt", "Log", "Reciprocal"}) EXPECT_GRADIENTS(one("x: float[n,5]", op + "(x)"), {.low = 0.5, .high = 2});
}

GRADIENT_TEST(Gradient, Trigonometry) {
  for (const std::string op : {"Sin", "Cos", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Atanh"}) {
    EXPECT_GRADIENTS(one("x: float[n,5]", op + "(x)"), {.low = -0.9, .high = 0.9}) << op;
  }
  EXPECT_GRADIENTS(one("x: float[n,5]", "Acosh(x)"), {.low = 1.5, .high = 3});
}

GRADIENT_TEST(Gradient, StepsHaveNoSlope) {
  for (const std::string op : {"Floor", "Ceil", "Round", "Sign"}) {
    EXPECT_GRADIENTS("graph g (x: float[5]) -> (y) { s = " + op + "(x)\n y = Mul(s, x) }", {.low = -2, .high = 2});
  }
}

GRADIENT_TEST(Gradient, Activations) {
  for (const std::string node : {"Relu(x)", "Sigmoid(x)", "Tanh(x)", "LeakyRelu(x)", "LeakyRelu(x) {alpha = 0.3}", "HardSigmoid(x)",
                                 "HardSigmoid(x) {alpha = 0.4, beta = 0.2}", "HardSwish(x)", "Elu(x) {alpha = 1.5}", "Selu(x)",
                                 "Celu(x) {alpha = 0.7}", "Softplus(x)", "Softsign(x)", "ThresholdedRelu(x) {alpha = 0.5}",
                                 "Mish(x)"}) {
    EXPECT_GRADIENTS(one("x: float[n,12]", node, "", 18), {.low = -4, .high = 4}) << node;
  }
}

GRADIENT_TEST(Gradient, Gelu) {
  EXPECT_GRADIENTS(one("x: float[n,12]", "Gelu(x)", "", 20), {.low = -4, .high = 4});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Gelu(x) {approximate = \"tanh\"}", "", 20), {.low = -4, .high = 4});
}

GRADIENT_TEST(Gradient, PRelu) {
  EXPECT_GRADIENTS(one("x: float[n,3,2,2], s: float[3,1,1]", "PRelu(x, s)"));
  EXPECT_GRADIENTS(one("x: float[n,12], s: float[1]", "PRelu(x, s)"));
}

GRADIENT_TEST(Gradient, Clip) {
  EXPECT_GRADIENTS(one("x: float[n,12]", "Clip(x, lo, hi)", "lo: float[] = {0}\n hi: float[] = {6}"), {.low = -3, .high = 9});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Clip(x, lo)", "lo: float[] = {-0.5}"), {.low = -3, .high = 3});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Clip(x, _, hi)", "hi: float[] = {0.5}"), {.low = -3, .high = 3});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Clip(x)"));
  EXPECT_GRADIENTS(one("x: float[n,12]", "Clip(x) {min = -1.0, max = 1.0}", "", 10), {.low = -3, .high = 3});
}

GRADIENT_TEST(Gradient, Conv) {
  const std::string two = "x: float[n,4,6,5], w: float[6,4,3,3], b: float[6]";
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b)"));
  EXPECT_GRADIENTS(one(two, "Conv(x, w)"), {.fixed = {"b"}});
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b) {pads = [1,0,2,1], strides = [2,1]}"));
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b) {pads = [2,2,2,2], dilations = [2,2]}"));
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b) {auto_pad = \"SAME_UPPER\", strides = [2,2]}"));
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b) {auto_pad = \"SAME_LOWER\", strides = [2,2]}"));
  EXPECT_GRADIENTS(one(two, "Conv(x, w, b) {auto_pad = \"VALID\"}"));
  EXPECT_GRADIENTS(one("x: float[n,4,5,5], w: float[6,2,3,3], b: float[6]", "Conv(x, w, b) {group = 2, pads = [1,1,1,1]}"));
  EXPECT_GRADIENTS(one("x: float[n,4,5,5], w: float[8,1,3,3]", "Conv(x, w) {group = 4}"));
  EXPECT_GRADIENTS(one("x: float[n,4,9], w: float[6,4,3], b: float[6]", "Conv(x, w, b) {strides = [2], pads = [1,1]}"));
  EXPECT_GRADIENTS(one("x: float[n,2,4,4,4], w: float[3,2,2,2,2], b: float[3]", "Conv(x, w, b)"));
}

GRADIENT_TEST(Gradient, ConvBiasAlone) {
  EXPECT_GRADIENTS(one("x: float[n,4,5,5], w: float[6,4,3,3], b: float[6]", "Conv(x, w, b)"), {.fixed = {"x", "w"}});
}

GRADIENT_TEST(Gradient, BatchNormalization) {
  const std::string inputs = "x: float[4,3,2,2], s: float[3], b: float[3], m: float[3], v: float[3]";
  const GradientCheck options = {.low = 0.1, .high = 2, .fixed = {"m", "v"}};
  EXPECT_GRADIENTS(one(inputs, "BatchNormalization(x, s, b, m, v)"), options);
  EXPECT_GRADIENTS(one(inputs, "BatchNormalization(x, s, b, m, v) {epsilon = 0.01}", "", 9), options);
  EXPECT_GRADIENTS("graph g (" + inputs + ") -> (y, rm, rv) { y, rm, rv = BatchNormalization(x, s, b, m, v) {training_mode = 1} }", options);
  EXPECT_GRADIENTS("graph g (x: float[5,3], s: float[3], b: float[3], m: float[3], v: float[3]) -> (y, rm, rv) "
                   "{ y, rm, rv = BatchNormalization(x, s, b, m, v) {training_mode = 1, epsilon = 0.1} }", options);
}

GRADIENT_TEST(Gradient, ConvTranspose) {
  const std::string inputs = "x: float[n,4,3,2], w: float[4,3,3,3], b: float[3]";
  EXPECT_GRADIENTS(one(inputs, "ConvTranspose(x, w, b)"));
  EXPECT_GRADIENTS(one(inputs, "ConvTranspose(x, w, b) {strides = [2,2], pads = [1,0,1,1], output_padding = [1,0]}"));
  EXPECT_GRADIENTS(one(inputs, "ConvTranspose(x, w, b) {dilations = [2,1]}"));
  EXPECT_GRADIENTS(one("x: float[n,4,3], w: float[4,3,2]", "ConvTranspose(x, w) {group = 2, strides = [2]}"));
}

GRADIENT_TEST(Gradient, OtherNormalizations) {
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[4], b: float[4]", "LayerNormalization(x, s, b)"));
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[3,4], b: float[4]", "LayerNormalization(x, s, b) {axis = 1, epsilon = 0.01}"));
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[4]", "RMSNormalization(x, s)", "", 23));
  EXPECT_GRADIENTS(one("x: float[n,3,4,2], s: float[3], b: float[3]", "InstanceNormalization(x, s, b)"));
}

TEST(Gradient, EveryOperatorOfTheCoreHasOne) {
  for (const char* name : {"Conv", "BatchNormalization", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish",
                           "Add", "Sub", "Mul", "Div", "Sum", "Neg", "Pow", "Sqrt", "Exp", "Log", "Concat", "MaxPool",
                           "AveragePool", "GlobalAveragePool", "Gemm", "MatMul", "Flatten", "Reshape", "Transpose", "Squeeze",
                           "Unsqueeze", "Softmax", "LogSoftmax", "Dropout", "Identity", "Pad", "ReduceMean", "ReduceSum", "Split",
                           "Slice", "Gather", "Cast", "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}) {
    const Op* op = find_op("", name);
    ASSERT_NE(op, nullptr) << name;
    EXPECT_NE(op->gradient, nullptr) << name;
  }
}

GRADIENT_TEST(Gradient, MaxPool) {
  const std::string x = "x: float[n,2,6,5]";
  EXPECT_GRADIENTS(one(x, "MaxPool(x) {kernel_shape = [2,2], strides = [2,2]}"));
  EXPECT_GRADIENTS(one(x, "MaxPool(x) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]}"));
  EXPECT_GRADIENTS(one(x, "MaxPool(x) {kernel_shape = [2,2], strides = [2,2], ceil_mode = 1}"));
  EXPECT_GRADIENTS(one(x, "MaxPool(x) {kernel_shape = [2,2], dilations = [2,2]}"));
  EXPECT_GRADIENTS(one(x, "MaxPool(x) {kernel_shape = [3,3], auto_pad = \"SAME_UPPER\", strides = [2,2]}"));
  EXPECT_GRADIENTS(one("x: float[n,2,7]", "MaxPool(x) {kernel_shape = [3]}"));
}

GRADIENT_TEST(Gradient, AveragePool) {
  const std::string x = "x: float[n,2,6,5]";
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [2,2], strides = [2,2]}"));
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]}"));
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1], count_include_pad = 1}"));
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [2,2], strides = [2,2], ceil_mode = 1, count_include_pad = 1}"));
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [2,2], strides = [2,2], ceil_mode = 1}"));
  EXPECT_GRADIENTS(one(x, "AveragePool(x) {kernel_shape = [3,3], auto_pad = \"SAME_LOWER\"}"));
  EXPECT_GRADIENTS(one("x: float[n,2,7]", "AveragePool(x) {kernel_shape = [3]}"));
}

GRADIENT_TEST(Gradient, GlobalPools) {
  EXPECT_GRADIENTS(one("x: float[n,3,2,4]", "GlobalAveragePool(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,5]", "GlobalAveragePool(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,2,4]", "GlobalMaxPool(x)"));
}

GRADIENT_TEST(Gradient, Gemm) {
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3,4]", "Gemm(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[4,3], c: float[4]", "Gemm(a, b, c) {transB = 1}"));
  EXPECT_GRADIENTS(one("a: float[3,2], b: float[3,4], c: float[2,1]", "Gemm(a, b, c) {transA = 1, alpha = 0.5, beta = 2.0}"));
  EXPECT_GRADIENTS(one("a: float[3,2], b: float[4,3], c: float[]", "Gemm(a, b, c) {transA = 1, transB = 1, alpha = 1.5}"));
  EXPECT_GRADIENTS(one("a: float[2,3], b: float[3,4], c: float[2,4]", "Gemm(a, b, c)"));
}

GRADIENT_TEST(Gradient, MatMul) {
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,5,3], b: float[3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[5,3], b: float[n,3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,1,5,3], b: float[2,3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[3], b: float[3]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[3], b: float[n,3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,5,3], b: float[3]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[3], b: float[3,4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[5,3], b: float[3]", "MatMul(a, b)"));
}

GRADIENT_TEST(Gradient, Views) {
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Flatten(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Flatten(x) {axis = 2}"));
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Reshape(x, s)", "s: int64[3] = {0, 2, -1}"));
  EXPECT_GRADIENTS(one("x: float[n,1,4]", "Squeeze(x, a)", "a: int64[1] = {1}"));
  EXPECT_GRADIENTS(one("x: float[n,1,4]", "Squeeze(x) {axes = [1]}", "", 11));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Unsqueeze(x, a)", "a: int64[2] = {0, -1}"));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Unsqueeze(x) {axes = [1]}", "", 11));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Identity(x)"));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Dropout(x)"));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Dropout(x) {ratio = 0.3}", "", 10));
}

GRADIENT_TEST(Gradient, Transpose) {
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Transpose(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,4,5]", "Transpose(x) {perm = [0,2,3,1]}"));
}

GRADIENT_TEST(Gradient, Softmax) {
  for (const std::string op : {"Softmax", "LogSoftmax"}) {
    EXPECT_GRADIENTS(one("x: float[n,5]", op + "(x)"));
    EXPECT_GRADIENTS(one("x: float[n,5,3]", op + "(x) {axis = 1}"));
    EXPECT_GRADIENTS(one("x: float[n,5,3]", op + "(x) {axis = 0}"));
    EXPECT_GRADIENTS(one("x: float[n,5,3]", op + "(x)", "", 11));
    EXPECT_GRADIENTS(one("x: float[n,5,3]", op + "(x) {axis = 2}", "", 11));
  }
}

GRADIENT_TEST(Gradient, ConcatAndSplit) {
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[n,2], c: float[n,1]", "Concat(a, b, c) {axis = 1}"));
  EXPECT_GRADIENTS(one("a: float[n,3,2], b: float[n,3,2]", "Concat(a, b, a) {axis = -1}"));
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[n,2]", "Concat(a, b) {axis = 1}"), {.fixed = {"a"}});
  EXPECT_GRADIENTS("graph g (x: float[n,6]) -> (y) { s: int64[2] = {2, 4}\n a, b = Split(x, s) {axis = 1}\n c = Tanh(a)\n y = Concat(b, c) {axis = 1} }");
  EXPECT_GRADIENTS("graph g (x: float[n,6]) -> (y) { a, y, b = Split(x) {axis = -1} }");
  EXPECT_GRADIENTS("graph g (x: float[n,6]) -> (y) opset 11 { a, y = Split(x) {axis = 1, split = [2,4]} }");
}

GRADIENT_TEST(Gradient, Slice) {
  EXPECT_GRADIENTS(one("x: float[n,6,5]", "Slice(x, s, e, a, t)", "s: int64[2] = {1, -1}\n e: int64[2] = {100, -100}\n a: int64[2] = {1, 2}\n t: int64[2] = {2, -2}"));
  EXPECT_GRADIENTS(one("x: float[4,6]", "Slice(x, s, e)", "s: int64[2] = {1, 2}\n e: int64[2] = {3, -1}"));
  EXPECT_GRADIENTS(one("x: float[n,6]", "Slice(x) {starts = [1], ends = [4], axes = [1]}", "", 9));
}

GRADIENT_TEST(Gradient, Gather) {
  EXPECT_GRADIENTS(one("x: float[5,3]", "Gather(x, i)", "i: int64[2,2] = {0, 4, -1, 2}"));
  EXPECT_GRADIENTS(one("x: float[n,3,2]", "Gather(x, i) {axis = 1}", "i: int64[] = {2}"));
  EXPECT_GRADIENTS(one("x: float[n,3,2]", "Gather(x, i) {axis = -1}", "i: int64[4] = {1, 1, 0, 1}"));
}

GRADIENT_TEST(Gradient, Pad) {
  const std::string pads = "p: int64[4] = {1, 2, 0, 1}";
  EXPECT_GRADIENTS(one("x: float[n,4]", "Pad(x, p)", pads));
  EXPECT_GRADIENTS(one("x: float[3,4]", "Pad(x, p) {mode = \"reflect\"}", pads));
  EXPECT_GRADIENTS(one("x: float[3,4]", "Pad(x, p) {mode = \"edge\"}", pads));
  EXPECT_GRADIENTS(one("x: float[3,4]", "Pad(x, p) {mode = \"wrap\"}", pads, 19));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Pad(x, p)", "p: int64[4] = {0, -1, 0, 2}"));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Pad(x, p, _, a)", "p: int64[2] = {2, 1}\n a: int64[1] = {-1}", 18));
  EXPECT_GRADIENTS(one("x: float[n,4]", "Pad(x) {pads = [0,1,0,1]}", "", 9));
}

GRADIENT_TEST(Gradient, Reductions) {
  const std::string x = "x: float[n,3,4]";
  for (const std::string op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
                               "ReduceLogSumExp", "ReduceLogSum"}) {
    const GradientCheck options = {.low = op == "ReduceLogSum" ? 0.5 : -1.0, .high = 2};
    EXPECT_GRADIENTS(one(x, op + "(x, a)", "a: int64[2] = {1, -1}", 18), options) << op;
    EXPECT_GRADIENTS(one(x, op + "(x, a) {keepdims = 0}", "a: int64[1] = {1}", 18), options) << op;
    EXPECT_GRADIENTS(one(x, op + "(x)", "", 18), options) << op;
    EXPECT_GRADIENTS(one(x, op + "(x) {axes = [0,2], keepdims = 0}", "", 11), options) << op;
  }
  EXPECT_GRADIENTS(one(x, "ReduceSum(x) {noop_with_empty_axes = 1}", ""));
}

GRADIENT_TEST(Gradient, Cast) {
  EXPECT_GRADIENTS("graph g (x: float[n,3]) -> (y) { w = Cast(x) {to = 11}\n s = Mul(w, w)\n y = Cast(s) {to = 1} }");
}

GRADIENT_TEST(Gradient, DepthAndSpace) {
  EXPECT_GRADIENTS(one("x: float[n,8,2,3]", "DepthToSpace(x) {blocksize = 2}"));
  EXPECT_GRADIENTS(one("x: float[n,2,4,6]", "SpaceToDepth(x) {blocksize = 2}"));
}

GRADIENT_TEST(Gradient, WhereAndExpand) {
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3], c: bool[2,3]", "Where(c, a, b)"),
                   {.feeds = {{"c", Tensor::of<bool>({2, 3}, {true, false, true, false, false, true})}}});
  EXPECT_GRADIENTS(one("x: float[3,1]", "Expand(x, s)", "s: int64[3] = {2, 1, 4}"));
}

GRADIENT_TEST(Gradient, MeanSquaredError) {
  EXPECT_GRADIENTS(one("a: float[n,3,2], b: float[n,3,2]", "ai.espalier::MeanSquaredError@1(a, b)"), {.output_is_loss = true});
}

GRADIENT_TEST(Gradient, SoftmaxCrossEntropyLoss) {
  const std::string inputs = "x: float[4,3], t: int64[4], w: float[3]";
  GradientCheck options = {.feeds = {{"t", Tensor::of<int64_t>({4}, {0, 2, 1, 2})}, {"w", Tensor::of<float>({3}, {0.5f, 1, 2})}},
                           .fixed = {"w"}, .output_is_loss = true};
  for (const std::string reduction : {"mean", "sum"}) {
    EXPECT_GRADIENTS(one(inputs, "SoftmaxCrossEntropyLoss(x, t) {reduction = \"" + reduction + "\"}"), options);
    EXPECT_GRADIENTS(one(inputs, "SoftmaxCrossEntropyLoss(x, t, w) {reduction = \"" + reduction + "\"}"), options);
    EXPECT_GRADIENTS(one(inputs, "SoftmaxCrossEntropyLoss(x, t, w) {ignore_index = 2, reduction = \"" + reduction + "\"}"), options);
    EXPECT_GRADIENTS(one(inputs, "NegativeLogLikelihoodLoss(x, t, w) {ignore_index = 2, reduction = \"" + reduction + "\"}"), options);
    EXPECT_GRADIENTS(one(inputs, "NegativeLogLikelihoodLoss(x, t) {reduction = \"" + reduction + "\"}"), options);
  }
  options.output_is_loss = false;
  EXPECT_GRADIENTS(one(inputs, "SoftmaxCrossEntropyLoss(x, t, w) {reduction = \"none\"}"), options);
  EXPECT_GRADIENTS(one("x: float[2,3,2], t: int64[2,2]", "SoftmaxCrossEntropyLoss(x, t)"),
                   {.feeds = {{"t", Tensor::of<int64_t>({2, 2}, {0, 2, 1, 2})}}, .output_is_loss = true});
}

GRADIENT_TEST(Gradient, SoftTargetCrossEntropy) {
  EXPECT_GRADIENTS(one("z: float[4,3], t: float[4,3]", "ai.espalier::SoftTargetCrossEntropy@1(z, t) {temperature = 3.0}"),
                   {.low = -4, .high = 4, .fixed = {"t"}, .output_is_loss = true});
}

GRADIENT_TEST(Gradient, DropoutTraining) {
  EXPECT_GRADIENTS(one("x: float[3,7], step: int64[]", "ai.espalier::DropoutTraining@1(x, step) {ratio = 0.4, seed = 5, node = 2}"),
                   {.feeds = {{"step", Tensor::scalar<int64_t>(11)}}});
}

}  // namespace
}  // namespace espalier::testing
