// Values and gradients of single operators against PyTorch in double (tests/support/pytorch_operators.py has the same cases).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <sstream>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/graph/text.h"
#include "lib/ops/op.h"
#include "tests/support/environment.h"
#include "tests/support/pytorch.h"

namespace espalier::testing {
namespace {

struct Case {
  const char *name, *inputs, *body;
  int opset = 20;
  double tolerance = 1e-9;  ///< more where the gradient holds an irrational constant, which is a float of the graph
};

const char* const kSmall = "x: float[3,7]";
const char* const kImage = "x: float[2,4,5,6]";
const char* const kSignal = "x: float[2,4,3]";
const char* const kLstm = "x: float[3,2,3], w: float[8,3], r: float[8,2], b: float[16]";
const char* const kGru = "x: float[3,2,3], w: float[6,3], r: float[6,2], b: float[12]";
#define RECURRENT "a: int64[1] = {0}\n one: int64[1] = {1}\n w1 = Unsqueeze(w, a)\n r1 = Unsqueeze(r, a)\n b1 = Unsqueeze(b, a)\n "
#define LABELS "t: int64[2,3] = {0, 2, 1, 3, 1, 2}\n c: float[4] = {0.5, 1, 2, 0.25}\n "

const Case kCases[] = {
    {"hard_swish", kSmall, "f: float[] = 4\n a = Mul(x, f)\n y = HardSwish(a)"},
    {"hard_sigmoid", kSmall, "y = HardSigmoid(x) {alpha = 0.75}"},
    {"prelu", "x: float[2,3,4], w: float[3,1]", "y = PRelu(x, w)"},
    {"elu", kSmall, "y = Elu(x) {alpha = 1.5}"},
    {"celu", kSmall, "y = Celu(x) {alpha = 2.0}"},
    {"selu", kSmall, "y = Selu(x) {alpha = 1.75, gamma = 1.25}"},
    {"softplus", kSmall, "y = Softplus(x)"},
    {"softsign", kSmall, "y = Softsign(x)"},
    {"mish", kSmall, "y = Mish(x)"},
    {"gelu", kSmall, "y = Gelu(x)"},
    {"gelu_tanh", kSmall, "y = Gelu(x) {approximate = \"tanh\"}"},
    {"softmax", kImage, "y = Softmax(x) {axis = 1}"},
    {"log_softmax", kImage, "y = LogSoftmax(x) {axis = 2}"},
    {"instance_normalization", "x: float[2,4,5,6], s: float[4], b: float[4]", "y = InstanceNormalization(x, s, b) {epsilon = 0.0009765625}"},
    {"group_normalization", "x: float[2,4,5,6], s: float[4], b: float[4]", "y = GroupNormalization(x, s, b) {num_groups = 2, epsilon = 0.0009765625}", 21},
    {"layer_normalization", "x: float[2,4,5,6], s: float[5,6], b: float[5,6]", "y = LayerNormalization(x, s, b) {axis = 2, epsilon = 0.0009765625}"},
    {"rms_normalization", "x: float[2,4,6], s: float[6]", "y = RMSNormalization(x, s) {epsilon = 0.0009765625}", 23},
    {"mean_variance_normalization", kImage, "y = MeanVarianceNormalization(x)"},
    {"lrn", kImage, "y = LRN(x) {size = 3, alpha = 0.5, beta = 0.75, bias = 1.5}"},
    {"lp_normalization", kImage, "y = LpNormalization(x) {axis = 1}"},
    {"resize_nearest", kImage, "r: float[4] = {1, 1, 2, 2}\n y = Resize(x, _, r) {coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\"}"},
    {"resize_linear", kImage, "r: int64[4] = {2, 4, 9, 4}\n y = Resize(x, _, _, r) {mode = \"linear\"}"},
    {"resize_align_corners", kImage, "r: int64[4] = {2, 4, 9, 4}\n y = Resize(x, _, _, r) {mode = \"linear\", coordinate_transformation_mode = \"align_corners\"}"},
    {"resize_cubic", kImage, "r: int64[4] = {2, 4, 9, 11}\n y = Resize(x, _, _, r) {mode = \"cubic\"}"},
    {"resize_1d", kSignal, "r: int64[3] = {2, 4, 7}\n y = Resize(x, _, _, r) {mode = \"linear\"}"},
    {"conv_transpose", "x: float[2,4,3,4], w: float[4,3,3,2], b: float[3]", "y = ConvTranspose(x, w, b) {strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]}"},
    {"conv_transpose_groups", "x: float[2,4,3,4], w: float[4,3,2,2]", "y = ConvTranspose(x, w) {group = 2, dilations = [2,2]}"},
    {"conv_transpose_1d", "x: float[2,4,5], w: float[4,2,3]", "y = ConvTranspose(x, w) {strides = [3]}"},
    {"conv_transpose_3d", "x: float[1,2,2,3,2], w: float[2,3,2,2,2]", "y = ConvTranspose(x, w) {strides = [2,2,2]}"},
    {"reduce_max", kImage, "a: int64[2] = {1, 3}\n y = ReduceMax(x, a) {keepdims = 0}"},
    {"reduce_min", kImage, "a: int64[2] = {1, 3}\n y = ReduceMin(x, a) {keepdims = 0}"},
    {"reduce_prod", kSignal, "a: int64[1] = {1}\n y = ReduceProd(x, a) {keepdims = 0}"},
    {"reduce_log_sum_exp", kImage, "a: int64[2] = {1, 2}\n y = ReduceLogSumExp(x, a) {keepdims = 0}"},
    {"reduce_l1", kImage, "a: int64[1] = {2}\n y = ReduceL1(x, a) {keepdims = 0}"},
    {"reduce_l2", kImage, "a: int64[2] = {1, 2}\n y = ReduceL2(x, a) {keepdims = 0}"},
    {"reduce_sum_square", kImage, "a: int64[1] = {0}\n y = ReduceSumSquare(x, a) {keepdims = 0}"},
    {"global_max_pool", kImage, "y = GlobalMaxPool(x)"},
    {"max_pool_dilated", kImage, "y = MaxPool(x) {kernel_shape = [2,2], dilations = [2,2], pads = [1,1,1,1]}"},
    {"max_pool_ceil", kImage, "y = MaxPool(x) {kernel_shape = [2,2], strides = [2,2], ceil_mode = 1}"},
    {"average_pool", kImage, "y = AveragePool(x) {kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]}"},
    {"lp_pool", kImage, "y = LpPool(x) {kernel_shape = [2,3], strides = [2,3]}"},
    {"depth_to_space", kImage, "y = DepthToSpace(x) {blocksize = 2, mode = \"CRD\"}"},
    {"space_to_depth", "x: float[1,1,4,6]", "y = SpaceToDepth(x) {blocksize = 2}"},
    {"cum_sum", kSignal, "a: int64[] = 1\n y = CumSum(x, a) {reverse = 1}"},
    {"cum_prod", kSignal, "a: int64[] = 1\n y = CumProd(x, a)", 26},
    {"einsum", "a: float[2,3,4], b: float[2,5,4]", "y = Einsum(a, b) {equation = \"bik,bjk->bij\"}"},
    {"einsum_three", "a: float[2,3], b: float[3,4], c: float[4,2]", "y = Einsum(a, b, c) {equation = \"ij,jk,kl->il\"}"},
    {"einsum_diagonal", "a: float[3,3], b: float[3,4]", "y = Einsum(a, b) {equation = \"ii,ij->j\"}"},
    {"grid_sample", "x: float[2,3,4,5], g: float[2,3,3,2]", "y = GridSample(x, g)"},
    {"grid_sample_border", "x: float[2,3,4,5], g: float[2,3,3,2]", "f: float[] = 1.5\n h = Mul(g, f)\n y = GridSample(x, h) {padding_mode = \"border\", align_corners = 1}"},
    {"grid_sample_reflection", "x: float[2,3,4,5], g: float[2,3,3,2]", "f: float[] = 1.5\n h = Mul(g, f)\n y = GridSample(x, h) {padding_mode = \"reflection\"}"},
    {"where", "x: float[2,1,3], z: float[4,3]", "c: bool[3] = {1, 0, 1}\n y = Where(c, x, z)"},
    {"expand", "x: float[2,1,3]", "r: int64[3] = {2, 4, 3}\n y = Expand(x, r)"},
    {"tile", kSignal, "r: int64[3] = {1, 2, 3}\n y = Tile(x, r)"},
    {"tril", kSignal, "y = Trilu(x) {upper = 0}"},
    {"triu", kSignal, "k: int64[] = 1\n y = Trilu(x, k)"},
    {"gather", "x: float[4,3,2]", "i: int64[2,2] = {0, 2, 2, 2}\n y = Gather(x, i) {axis = 1}"},
    {"gather_elements", "x: float[3,3]", "i: int64[3,2] = {0, 0, 2, 1, 1, 1}\n y = GatherElements(x, i) {axis = 1}"},
    {"gather_nd", "x: float[3,3,2]", "i: int64[3,2] = {0, 1, 2, 1, 0, 1}\n y = GatherND(x, i)"},
    {"scatter_elements", "x: float[3,3], u: float[2,3]", "i: int64[2,3] = {0, 1, 2, 2, 0, 1}\n y = ScatterElements(x, i, u)", 18},
    {"scatter_add", "x: float[3,3], u: float[2,3]", "i: int64[2,3] = {0, 1, 2, 0, 0, 2}\n y = ScatterElements(x, i, u) {reduction = \"add\"}", 18},
    {"scatter_nd", "x: float[4,3], u: float[2,3]", "i: int64[2,1] = {3, 1}\n y = ScatterND(x, i, u)", 18},
    {"pad_reflect", kImage, "p: int64[8] = {0, 0, 0, 2, 0, 0, 2, 1}\n y = Pad(x, p) {mode = \"reflect\"}"},
    {"pow", "s: float[3,4], z: float[4]", "y = Pow(s, z)"},
    {"det", "x: float[2,3,3]", "y = Det(x)"},
    {"lstm", kLstm, RECURRENT "a0, b0, c0 = LSTM(x, w1, r1, b1) {hidden_size = 2}\n y = Squeeze(a0, one)"},
    {"lstm_reverse", kLstm, RECURRENT "a0, b0, c0 = LSTM(x, w1, r1, b1) {hidden_size = 2, direction = \"reverse\"}\n y = Squeeze(a0, one)"},
    {"gru", kGru, RECURRENT "a0, b0 = GRU(x, w1, r1, b1) {hidden_size = 2}\n y = Squeeze(a0, one)"},
    {"gru_linear", kGru, RECURRENT "a0, b0 = GRU(x, w1, r1, b1) {hidden_size = 2, linear_before_reset = 1}\n y = Squeeze(a0, one)"},
    {"rnn", "x: float[3,2,3], w: float[2,3], r: float[2,2], b: float[4]", RECURRENT "a0, b0 = RNN(x, w1, r1, b1) {hidden_size = 2}\n y = Squeeze(a0, one)"},
    {"attention", "q: float[2,2,3,4], k: float[2,2,5,4], v: float[2,2,5,3], m: float[3,5]", "y = Attention(q, k, v, m)", 23},
    {"attention_causal", "q: float[2,2,3,4], k: float[2,2,3,4], v: float[2,2,3,3]", "y = Attention(q, k, v) {is_causal = 1}", 23},
    {"attention_grouped", "q: float[2,4,3,4], k: float[2,2,5,4], v: float[2,2,5,3]", "y = Attention(q, k, v)", 23},
    {"cross_entropy", kSignal, LABELS "y = SoftmaxCrossEntropyLoss(x, t)"},
    {"cross_entropy_weighted", kSignal, LABELS "y = SoftmaxCrossEntropyLoss(x, t, c)"},
    {"cross_entropy_ignore", kSignal, LABELS "y = SoftmaxCrossEntropyLoss(x, t, c) {ignore_index = 2}"},
    {"cross_entropy_sum", kSignal, LABELS "y = SoftmaxCrossEntropyLoss(x, t, c) {reduction = \"sum\"}"},
    {"cross_entropy_none", kSignal, LABELS "y = SoftmaxCrossEntropyLoss(x, t) {reduction = \"none\", ignore_index = 1}"},
    {"nll", kSignal, LABELS "y = NegativeLogLikelihoodLoss(x, t)"},
    {"nll_weighted", kSignal, LABELS "y = NegativeLogLikelihoodLoss(x, t, c) {ignore_index = 2}"},
    {"nll_sum", kSignal, LABELS "y = NegativeLogLikelihoodLoss(x, t, c) {reduction = \"sum\"}"},
    {"nll_none", kSignal, LABELS "y = NegativeLogLikelihoodLoss(x, t) {reduction = \"none\", ignore_index = 1}"},
    {"abs", kSmall, "y = Abs(x)"},
    {"atan", kSmall, "y = Atan(x)"},
    {"asinh", kSmall, "y = Asinh(x)"},
    {"cos", kSmall, "y = Cos(x)"},
    {"cosh", kSmall, "y = Cosh(x)"},
    {"erf", kSmall, "y = Erf(x)", 20, 1e-7},
    {"exp", kSmall, "y = Exp(x)"},
    {"neg", kSmall, "y = Neg(x)"},
    {"sin", kSmall, "y = Sin(x)"},
    {"sinh", kSmall, "y = Sinh(x)"},
    {"tan", kSmall, "y = Tan(x)"},
    {"acos", kSmall, "f: float[] = 0.875\n a = Mul(x, f)\n y = Acos(a)"},
    {"asin", kSmall, "f: float[] = 0.875\n a = Mul(x, f)\n y = Asin(a)"},
    {"atanh", kSmall, "f: float[] = 0.875\n a = Mul(x, f)\n y = Atanh(a)"},
    {"log", "s: float[3,7]", "y = Log(s)"},
    {"sqrt", "s: float[3,7]", "y = Sqrt(s)"},
    {"reciprocal", "s: float[3,7]", "y = Reciprocal(s)"},
    {"acosh", "s: float[3,7]", "f: float[] = 1\n a = Add(s, f)\n y = Acosh(a)"},
    {"floor", kSmall, "f: float[] = 3\n a = Mul(x, f)\n b = Floor(a)\n y = Mul(x, b)"},
    {"ceil", kSmall, "f: float[] = 3\n a = Mul(x, f)\n b = Ceil(a)\n y = Mul(x, b)"},
    {"round", kSmall, "f: float[] = 3\n a = Mul(x, f)\n b = Round(a)\n y = Mul(x, b)"},
    {"sign", kSmall, "f: float[] = 3\n a = Mul(x, f)\n b = Sign(a)\n y = Mul(x, b)"},
    {"sub", "x: float[2,1,3], z: float[4,3]", "y = Sub(x, z)"},
    {"div", "x: float[2,1,3], s: float[4,3]", "y = Div(x, s)"},
    {"max", "x: float[2,1,3], z: float[4,3]", "y = Max(x, z)"},
    {"min", "x: float[2,1,3], z: float[4,3]", "y = Min(x, z)"},
    {"fmod", "x: float[2,1,3], s: float[4,3]", "f: float[] = 3\n a = Mul(x, f)\n y = Mod(a, s) {fmod = 1}"},
    {"sum", "x: float[2,1,3], z: float[4,3], q: float[3]", "y = Sum(x, z, q)"},
    {"mean", "x: float[2,1,3], z: float[4,3], q: float[3]", "y = Mean(x, z, q)"},
    {"reduce_sum", kImage, "a: int64[2] = {0, 2}\n y = ReduceSum(x, a) {keepdims = 0}"},
    {"reduce_log_sum", "s: float[2,4,3]", "a: int64[1] = {-1}\n y = ReduceLogSum(s, a) {keepdims = 0}"},
    {"reshape_transpose", kSignal, "r: int64[2] = {4, -1}\n q: int64[1] = {-1}\n o: int64[] = 0\n a = Reshape(x, r)\n b = Transpose(a)\n c = Reshape(x, q)\n d = Gather(c, o)\n y = Mul(b, d)"},
    {"slice", kImage, "b: int64[2] = {1, 1}\n e: int64[2] = {3, 100}\n a: int64[2] = {1, -1}\n t: int64[2] = {1, 2}\n y = Slice(x, b, e, a, t)"},
    {"split", kImage, "a, b, c = Split(x) {axis = -1, num_outputs = 3}\n d = Mul(a, b)\n y = Add(d, c)"},
    {"top_k", kSmall, "k: int64[1] = {3}\n y, i = TopK(x, k) {largest = 0}"},
    {"thresholded_relu", kSmall, "y = ThresholdedRelu(x) {alpha = 0.25}"},
    {"soft_shrink", kSmall, "y = Shrink(x) {lambd = 0.25, bias = 0.25}"},
    {"hard_shrink", kSmall, "y = Shrink(x) {lambd = 0.25}"},
    {"swish", kSmall, "y = Swish(x)", 24},
    {"dft", "x: float[2,5]", "a: int64[1] = {2}\n l: int64[] = 7\n k: int64[] = 1\n b = Unsqueeze(x, a)\n y = DFT(b, l, k)"},
    {"stft", "x: float[2,11], w: float[4]", "h: float[4] = {0.5, 1, 2, 0.25}\n o: int64[] = 3\n z: float[] = 0\n a: int64[1] = {2}\n b = Unsqueeze(x, a)\n c = STFT(b, o, h)\n e = ReduceSum(w)\n f = Mul(e, z)\n y = Add(c, f)"},
    {"affine_grid", "x: float[2,2,3]", "r: int64[4] = {2, 1, 3, 4}\n y = AffineGrid(x, r)"},
    {"max_unpool", "x: float[1,1,2,2]", "i: int64[1,1,2,2] = {5, 7, 13, 15}\n y = MaxUnpool(x, i) {kernel_shape = [2,2], strides = [2,2]}"},
    {"col2im", "x: float[2,12,6]", "i: int64[2] = {4, 5}\n b: int64[2] = {2, 3}\n y = Col2Im(x, i, b) {strides = [2,2], pads = [0,1,0,1]}"},
    {"compress", kSignal, "c: bool[4] = {1, 0, 0, 1}\n y = Compress(x, c) {axis = 1}"},
    {"center_crop_pad", kSignal, "r: int64[2] = {2, 5}\n y = CenterCropPad(x, r) {axes = [1, 2]}"},
    {"reverse_sequence", "x: float[3,4,2]", "l: int64[3] = {4, 1, 3}\n y = ReverseSequence(x, l) {batch_axis = 0, time_axis = 1}"},
    {"rotary_embedding", "x: float[1,2,3,4]", "c: float[3,2] = {0.5, 1, 2, 0.25, -1, 3}\n q: float[3,2] = {1, -2, 0.5, 4, 0.75, 1}\n p: int64[1,3] = {0, 1, 2}\n y = RotaryEmbedding(x, c, q, p)", 23},
    {"upsample", kImage, "r: float[4] = {1, 1, 2, 2}\n y = Upsample(x, r)", 9},
    {"global_lp_pool", kImage, "y = GlobalLpPool(x) {p = 3}"},
    {"hardmax", kSmall, "a = Hardmax(x)\n y = Mul(x, a)"},
    {"if", "x: float[3,7], z: float[7]", "c: bool[] = true\n y = If(c) {then_branch = graph () -> (t) { m = Mul(x, z)  t = Exp(m) }, else_branch = graph () -> (e) { e = Sub(x, z) }}"},
    {"scatter_rows", "x: float[3,3], u: float[2,3]", "i: int64[2,3] = {0, 1, 2, 2, 0, 1}\n y = Scatter(x, i, u)", 9},
    {"quantize", "x: float[3,7]", "o: float[] = 0.0078125\n z: int8[] = 64\n q = QuantizeLinear(x, o, z)\n y = DequantizeLinear(q, o, z)", 21},
    {"batch_norm_statistics", "x: float[2,4,3], s: float[4], b: float[4], m: float[4], sv: float[4]", "y = BatchNormalization(x, s, b, m, sv) {epsilon = 0.0009765625}"},
    {"log_prob", kSignal, "t: int64[2,3] = {0, 2, 1, 3, 1, 2}\n l, p = SoftmaxCrossEntropyLoss(x, t)\n y = Mul(l, p)"},
    {"attention_scores", "q: float[2,2,3,4], k: float[2,2,5,4], v: float[2,2,5,3]", "o, a, b, c = Attention(q, k, v) {scale = 1.0, softcap = 1.0, qk_matmul_output_mode = 1}\n m = ReduceMean(o) {keepdims = 0}\n y = Mul(c, m)", 23},
};

void expect_near(const std::vector<double>& ours, const std::vector<double>& theirs, const std::string& what, double tolerance) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], theirs[i], tolerance * (1 + std::abs(theirs[i]))) << what << "[" << i << "]";
}

void check(const Case& c, const std::map<std::string, std::vector<double>>& expected) {
  SCOPED_TRACE(c.name);
  Graph graph = parse_graph(std::string("graph g (") + c.inputs + ") -> (y) opset " + std::to_string(c.opset) + " { " + c.body + " }");
  const std::vector<ValueId> wanted = graph.inputs;
  LossTerm distance;
  distance.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(graph, graph.outputs[0], {.terms = {distance}}).loss;
  std::map<std::string, Tensor> feeds;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    Tensor& tensor = feeds[value.name] = pytorch_values(*value.type.known_dims(), i < wanted.size() ? static_cast<int>(i) : 51);
    if (value.name[0] != 's') continue;
    for (double& v : tensor.mutable_data<double>()) v = 1 + 0.5 * v;
  }
  const TrainingGraph training = differentiate(graph, loss, wanted);
  const auto out = run_reference(training.graph, feeds, {.in_double = true});
  expect_near(out.at(training.graph.value(loss).name).to_doubles(), expected.at("loss"), "loss", c.tolerance);
  ASSERT_EQ(training.gradients.size(), wanted.size());
  for (const Gradient& g : training.gradients) {
    const std::string name = training.graph.value(g.param).name;
    expect_near(out.at(training.graph.value(g.grad).name).to_doubles(), expected.at(name), name, c.tolerance);
  }
}

TEST(PyTorch, OperatorsAgree) {
  const std::string python = python_with("torch");
  if (python.empty()) GTEST_SKIP() << "no Python with torch (set ESPALIER_PYTHON)";
  set_thread_count(1);
  const PytorchNumbers expected = run_pytorch(python, "pytorch_operators.py");
  EXPECT_EQ(expected.size(), std::size(kCases));
  for (const Case& c : kCases) {
    const auto found = expected.find(c.name);
    if (found == expected.end()) ADD_FAILURE() << "PyTorch has no case " << c.name;
    else check(c, found->second);
  }
}

/// Operators with a gradient that stand in no case above.
const std::map<std::string, std::string> kElsewhere = {
    {"Conv", "pytorch_test"}, {"Relu", "pytorch_test"}, {"LeakyRelu", "pytorch_test"}, {"GlobalAveragePool", "pytorch_test"},
    {"Sigmoid", "pytorch_test"}, {"Flatten", "pytorch_test"}, {"Gemm", "pytorch_test"}, {"Tanh", "pytorch_test"}, {"Clip", "pytorch_test"},
    {"Concat", "pytorch_test"}, {"MatMul", "pytorch_test"},
    {"Cast", "nothing to calculate"}, {"CastLike", "nothing to calculate"}, {"Identity", "nothing to calculate"}, {"Dropout", "nothing to calculate"},
    {"DeformConv", "torchvision"}, {"MaxRoiPool", "torchvision"}, {"RoiAlign", "torchvision"}};

TEST(PyTorch, ComparesEveryOperatorWithAGradient) {
  std::set<std::string> compared;
  for (const Case& c : kCases) {
    const Graph graph = parse_graph(std::string("graph g (") + c.inputs + ") -> (y) opset " + std::to_string(c.opset) + " { " + c.body + " }");
    for (const NodeId id : graph.nodes()) compared.insert(graph.node(id).op_type);
  }
  for (const Op* op : all_ops()) {
    const std::string name(op->name);
    if (!op->domain.empty() || !op->gradient) continue;
    EXPECT_NE(compared.contains(name), kElsewhere.contains(name)) << name;
  }
}

}  // namespace
}  // namespace espalier::testing
