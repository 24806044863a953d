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
#include "tests/support/environment.h"
#include "tests/support/pytorch.h"

namespace espalier::testing {
namespace {

struct Case {
  const char *name, *inputs, *body;
  int opset = 20;
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
};

void expect_near(const std::vector<double>& ours, const std::vector<double>& theirs, const std::string& what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], theirs[i], 1e-9 * (1 + std::abs(theirs[i]))) << what << "[" << i << "]";
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
  expect_near(out.at(training.graph.value(loss).name).to_doubles(), expected.at("loss"), "loss");
  ASSERT_EQ(training.gradients.size(), wanted.size());
  for (const Gradient& g : training.gradients) {
    const std::string name = training.graph.value(g.param).name;
    expect_near(out.at(training.graph.value(g.grad).name).to_doubles(), expected.at(name), name);
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

}  // namespace
}  // namespace espalier::testing
