// What models spend their time in has a fast step in single precision, forward and backward, over shapes and attributes; and
// it gives what the reference gives.
#include <gtest/gtest.h>

#include "tests/lib/runtime/plan_check.h"

namespace espalier {
namespace {

using testing::expect_fast;
using testing::PlanCheck;

std::string of(const std::string& declared, const std::string& node, int opset = 17, const std::string& constants = "") {
  return "graph g (" + declared + ") -> (y) opset " + std::to_string(opset) + " { " + constants + "\n y = " + node + " }";
}

TEST(OperatorsPlan, ProductsOfAnyRank) {
  using Pair = std::pair<std::string, std::string>;
  for (const auto& [a, b] : std::vector<Pair>{{"3,4", "4,5"}, {"2,3,4", "2,4,5"}, {"2,1,3,4", "5,4,6"}, {"3,4", "2,4,5"}, {"2,3,4", "4,5"}, {"4", "4,5"},
                                              {"3,4", "4"}, {"4", "2,4,5"}, {"2,3,4", "4"}, {"4", "4"}, {"1,4", "4,1"}, {"2,3,1", "2,1,5"},
                                              {"2,1,2,1,1,3,4", "1,2,2,1,2,4,5"}}) {
    expect_fast(of("a: float[" + a + "], b: float[" + b + "]", "MatMul(a, b)"));
  }
}

TEST(OperatorsPlan, GemmOfAnyForm) {
  for (const std::string trans_a : {"0", "1"}) {
    for (const std::string trans_b : {"0", "1"}) {
      const std::string a = trans_a == "0" ? "3,4" : "4,3", b = trans_b == "0" ? "4,5" : "5,4";
      for (const std::string bias : {"", "5", "3,5", "3,1", "1,5", "1", ""}) {
        for (const std::string scales : {"", ", alpha = 0.5, beta = 2.0"}) {
          const std::string inputs = "a: float[" + a + "], b: float[" + b + "]" + (bias.empty() ? "" : ", c: float[" + bias + "]");
          expect_fast(of(inputs, std::string("Gemm(a, b") + (bias.empty() ? "" : ", c") + ") {transA = " + trans_a + ", transB = " + trans_b + scales + "}"));
        }
      }
    }
  }
  expect_fast(of("a: float[3,4], b: float[4,5], c: float[]", "Gemm(a, b, c)"));
  expect_fast("graph g (a: float[3,4], b: float[4,5], c: float[3,1]) -> (y) opset 17 { t = Gemm(a, b, c) {alpha = 0.5}\n y = Relu(t) }");
}

TEST(OperatorsPlan, Normalizations) {
  for (const std::string axis : {"-1", "1", "2"}) {
    const std::string scale = axis == "1" ? "5,7" : "7";
    expect_fast(of("x: float[3,5,7], s: float[" + scale + "], b: float[" + scale + "]", "LayerNormalization(x, s, b) {axis = " + axis + "}"));
    expect_fast(of("x: float[3,5,7], s: float[" + scale + "]", "RMSNormalization(x, s) {axis = " + axis + "}", 23));
  }
  for (const std::string dims : {"2,6,9", "2,6,4,5", "2,6,2,3,4"}) {
    expect_fast(of("x: float[" + dims + "], s: float[6], b: float[6]", "InstanceNormalization(x, s, b)"));
    for (const std::string groups : {"1", "2", "6"}) {
      expect_fast(of("x: float[" + dims + "], s: float[6], b: float[6]", "GroupNormalization(x, s, b) {num_groups = " + groups + "}", 21));
    }
  }
  expect_fast(of("x: float[3,6,7,2]", "MeanVarianceNormalization(x)"));
  expect_fast(of("x: float[2,9,7,3]", "LRN(x) {size = 5, alpha = 0.5}"));
  expect_fast(of("x: float[2,9,7,3]", "LRN(x) {size = 3, beta = 0.5, bias = 2.0}"));
  expect_fast(of("x: float[2,9,70]", "LRN(x) {size = 4}"));
  expect_fast(of("x: float[3,7]", "LRN(x) {size = 3, alpha = 0.7, beta = 0.9}"));
  for (const std::string axis : {"-1", "0", "1"}) {
    for (const std::string p : {"1", "2"}) expect_fast(of("x: float[3,5,7]", "LpNormalization(x) {axis = " + axis + ", p = " + p + "}"));
  }
}

TEST(OperatorsPlan, SoftmaxOnAnyAxis) {
  for (const std::string op : {"Softmax", "LogSoftmax"}) {
    for (const std::string axis : {"0", "1", "2", "3"}) {
      expect_fast(of("x: float[3,5,7,2]", op + "(x) {axis = " + axis + "}"));
      expect_fast(of("x: float[3,5,7,2]", op + "(x) {axis = " + axis + "}", 11));
    }
  }
}

TEST(OperatorsPlan, Activations) {
  for (const std::string op : {"Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Mish",
                               "ThresholdedRelu", "Erf", "Abs", "Neg", "Exp", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh"}) {
    expect_fast(of("x: float[3,37]", op + "(x)", 18));
  }
  for (const std::string op : {"Sqrt", "Log", "Reciprocal"}) expect_fast(of("x: float[3,37]", op + "(x)"), {.low = 0.3f, .high = 3});
  for (const std::string approximate : {"none", "tanh"}) expect_fast(of("x: float[3,37]", "Gelu(x) {approximate = \"" + approximate + "\"}", 20));
  for (const std::string slope : {"5", "3,1", "1", "2,3,5"}) expect_fast(of("x: float[2,3,5], s: float[" + slope + "]", "PRelu(x, s)"));
  expect_fast(of("x: float[3,37]", "Clip(x, a, b)", 17, "a: float[] = -1\n b: float[] = 0.5"));
  expect_fast(of("x: float[3,37]", "Swish(x) {alpha = 1.5}", 24));
}

TEST(OperatorsPlan, DecomposedGelus) {
  expect_fast(testing::kGeluByErf);
  expect_fast(testing::kGeluByTanh);
}

TEST(OperatorsPlan, Arithmetic) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum", "Mean"}) {
    for (const std::string other : {"5", "3,1", "2,3,5", "2,1,1", "1"}) {
      expect_fast(of("x: float[2,3,5], z: float[" + other + "]", op + "(x, z)"), {.low = 0.4f, .high = 2});
    }
  }
  expect_fast(of("x: float[2,3,5], z: float[3,1], v: float[5]", "Mean(x, z, v)"));
  expect_fast(of("x: float[2,3,5], z: float[2,3,5]", "Where(c, x, z)", 17, "c: bool[5] = {1, 0, 1, 1, 0}"));
}

TEST(OperatorsPlan, IntegerArithmetic) {
  for (const std::string type : {"int64", "int32"}) {
    for (const std::string op : {"Add", "Sub", "Mul", "Max", "Min", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}) {
      expect_fast(of("x: " + type + "[2,3,5], z: " + type + "[3,1]", op + "(x, z)", 18), {.integers = 100, .backward = false});
    }
  }
  for (const std::string type : {"uint8", "uint16", "uint32", "uint64"}) {
    expect_fast(of("x: " + type + "[2,3,5]", "BitwiseNot(x)", 18), {.integers = 100, .backward = false});
    for (const std::string way : {"LEFT", "RIGHT"}) {
      expect_fast(of("x: " + type + "[2,3,5], z: " + type + "[3,1]", "BitShift(x, z) {direction = \"" + way + "\"}", 18), {.integers = 70, .backward = false});
    }
  }
}

TEST(OperatorsPlan, Reductions) {
  for (const std::string op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum", "ReduceProd"}) {
    for (const std::string axes : {"[0]", "[1]", "[2]", "[0,2]", "[-2,-1]", "[0,1,2]"}) {
      for (const std::string keep : {"0", "1"}) {
        expect_fast(of("x: float[3,4,5]", op + "(x) {axes = " + axes + ", keepdims = " + keep + "}", 12), {.low = 0.5f, .high = 1.5});
      }
    }
    expect_fast(of("x: float[3,4,5]", op + "(x)", 12), {.low = 0.5f, .high = 1.5});
    expect_fast("graph g (x: float[2,3,6,7], w: float[20,3,3,3]) -> (y) opset 12 { h = Conv(x, w)\n a = Sigmoid(h)\n y = " + op + "(a) {axes = [2,3]} }", {.low = -0.4f, .high = 0.4f});
  }
}

TEST(OperatorsPlan, RecurrentLayers) {
  for (const std::string op : {"LSTM", "GRU", "RNN"}) {
    const std::string rows = op == "LSTM" ? "16" : op == "GRU" ? "12" : "4";
    const std::string both = op == "LSTM" ? "32" : op == "GRU" ? "24" : "8";
    for (const std::string direction : {"forward", "reverse", "bidirectional"}) {
      const std::string d = direction == "bidirectional" ? "2" : "1";
      for (const std::string linear : {"0", "1"}) {
        if (linear == "1" && op != "GRU") continue;
        const std::string attributes = "{hidden_size = 4, direction = \"" + direction + "\"" + (op == "GRU" ? ", linear_before_reset = " + linear : "") + "}";
        expect_fast(of("x: float[5,3,6], w: float[" + d + "," + rows + ",6], r: float[" + d + "," + rows + ",4], b: float[" + d + "," + both + "]",
                       op + "(x, w, r, b) " + attributes), {.tolerance = 1e-4, .low = -0.5f, .high = 0.5});
      }
    }
  }
}

TEST(OperatorsPlan, ConvTranspose) {
  for (const std::string attributes : {"{}", "{strides = [2]}", "{strides = [3], pads = [1,1], output_padding = [1]}", "{dilations = [2]}"}) {
    expect_fast(of("x: float[2,4,7], w: float[4,3,3], b: float[3]", "ConvTranspose(x, w, b) " + attributes));
  }
  for (const std::string attributes : {"{}", "{strides = [2,1]}", "{strides = [2,2], pads = [1,0,1,1], output_padding = [1,1]}", "{dilations = [2,1], strides = [1,2]}",
                                       "{strides = [2,3], auto_pad = \"SAME_LOWER\"}", "{strides = [2,2], output_shape = [9,10]}"}) {
    expect_fast(of("x: float[2,4,4,5], w: float[4,3,3,2], b: float[3]", "ConvTranspose(x, w, b) " + attributes));
    expect_fast(of("x: float[2,4,4,5], w: float[4,3,3,2]", "ConvTranspose(x, w) {group = 2" + (attributes == "{}" ? "}" : ", " + attributes.substr(1))));
  }
  for (const std::string attributes : {"{}", "{strides = [2,1,2], output_padding = [1,0,1]}", "{dilations = [1,2,1], pads = [0,1,0,0,1,1]}"}) {
    expect_fast(of("x: float[2,4,3,4,3], w: float[4,3,2,2,2]", "ConvTranspose(x, w) " + attributes));
  }
}

TEST(OperatorsPlan, ResizeInEveryCoordinateMode) {
  for (const std::string mode : {"nearest", "linear", "cubic"}) {
    for (const std::string coordinates : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"}) {
      for (const std::string scales : {"{1, 1, 2, 2}", "{1, 1, 0.6, 1.5}"}) {
        expect_fast(of("x: float[2,3,5,6]", "Resize(x, _, s) {mode = \"" + mode + "\", coordinate_transformation_mode = \"" + coordinates + "\"}", 19, "s: float[4] = " + scales));
      }
    }
  }
  for (const std::string nearest : {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}) {
    expect_fast(of("x: float[2,3,5,6]", "Resize(x, _, s) {nearest_mode = \"" + nearest + "\"}", 13, "s: float[4] = {1, 1, 1.7, 0.6}"));
  }
  for (const std::string dims : {"2,3,5", "2,3,4,3,5"}) {
    const std::string scales = dims == "2,3,5" ? "s: float[3] = {1, 1, 2.5}" : "s: float[5] = {1, 1, 2, 0.7, 2}";
    for (const std::string mode : {"nearest", "linear"}) expect_fast(of("x: float[" + dims + "]", "Resize(x, _, s) {mode = \"" + mode + "\"}", 19, scales));
  }
}

TEST(OperatorsPlan, Movement) {
  for (const std::string perm : {"[0,2,1,3]", "[3,2,1,0]", "[0,2,3,1]", "[1,0,2,3]"}) expect_fast(of("x: float[2,3,4,5]", "Transpose(x) {perm = " + perm + "}"));
  for (const std::string axis : {"0", "1", "-1"}) {
    expect_fast(of("x: float[4,5,6], i: int64[3,2]", "Gather(x, i) {axis = " + axis + "}"));
    expect_fast(of("x: float[4,5,6], i: int32[2,3,6]", "GatherElements(x, i) {axis = " + axis + "}"));
    expect_fast(of("x: float[2,5,6], z: float[2,5,6]", "Concat(x, z) {axis = " + axis + "}"));
    expect_fast(of("x: float[4,5,6]", "CumProd(x, a) {reverse = 1}", 26, "a: int64[] = " + axis));
    expect_fast(of("x: float[4,5,6]", "CumSum(x, a) {reverse = 1, exclusive = 1}", 14, "a: int64[] = " + axis));
  }
  expect_fast(of("x: float[4,4,6], i: int64[3,2]", "GatherND(x, i)"));
  expect_fast(of("x: float[2,8,4,6]", "DepthToSpace(x) {blocksize = 2}"));
  expect_fast(of("x: float[2,8,4,6]", "DepthToSpace(x) {blocksize = 2, mode = \"CRD\"}"));
  expect_fast(of("x: float[2,3,4,6]", "SpaceToDepth(x) {blocksize = 2}"));
  expect_fast(of("x: float[2,1,4]", "Expand(x, s)", 17, "s: int64[3] = {2, 3, 4}"));
  expect_fast(of("x: float[2,1,4]", "Tile(x, s)", 17, "s: int64[3] = {1, 3, 2}"));
  expect_fast(of("x: float[2,4,4]", "Trilu(x) {upper = 0}"));
  expect_fast(of("x: float[7,5,6]", "Slice(x, a, b, c, d)", 17, "a: int64[2] = {1, 4}\n b: int64[2] = {6, 0}\n c: int64[2] = {0, 1}\n d: int64[2] = {2, -1}"));
  expect_fast(of("x: float[5,4], i: int64[2,4], u: float[2,4]", "ScatterElements(x, i, u) {axis = 0, reduction = \"add\"}", 18));
  expect_fast(of("x: float[2,5,3]", "ReverseSequence(x, l)", 17, "l: int64[5] = {1, 2, 2, 1, 2}"));
  expect_fast("graph g (x: float[6,5]) -> (y, z) opset 17 { y, z = Split(x) {axis = 0} }");
}

TEST(OperatorsPlan, AttentionOfEveryForm) {
  const std::string four = "q: float[2,4,3,5], k: float[2,4,7,5], v: float[2,4,7,6]";
  for (const std::string attributes : {"", " {scale = 0.3}", " {is_causal = 1}", " {softcap = 0.7, is_causal = 1}"}) {
    expect_fast(of(four, "Attention(q, k, v)" + attributes, 23));
    // The gradient of a mask that is one number a row is zero but for rounding.
    expect_fast(of(four + ", m: float[3,1]", "Attention(q, k, v, m)" + attributes, 23), {.backward = false});
    for (const std::string mask : {"3,7", "4,1,7", "2,1,3,7", "3,5"}) {
      expect_fast(of(four + ", m: float[" + mask + "]", "Attention(q, k, v, m)" + attributes, 23));
    }
    expect_fast(of("q: float[2,4,3,5], k: float[2,2,7,5], v: float[2,2,7,6]", "Attention(q, k, v)" + attributes, 23));
    expect_fast(of("q: float[2,3,8], k: float[2,7,4], v: float[2,7,6]", "Attention(q, k, v) {q_num_heads = 4, kv_num_heads = 2}", 23));
    const std::string past = ", pk: float[2,4,2,5], pv: float[2,4,2,6]";
    expect_fast("graph g (" + four + past + ") -> (y, p, w) opset 23 { y, p, w = Attention(q, k, v, _, pk, pv)" + attributes + " }");
  }
  expect_fast(of(four, "Attention(q, k, v, m)", 23, "m: bool[3,7] = {1,0,1,1,1,0,1, 0,1,1,0,1,1,0, 1,1,1,1,1,1,0}"));
  for (const std::string mode : {"0", "1", "2", "3"}) {
    const std::string node = "Attention(q, k, v, m) {softcap = 2.0, qk_matmul_output_mode = " + mode + "} }";
    expect_fast("graph g (" + four + ", m: float[3,7]) -> (y, s) opset 23 { y, _, _, s = " + node);
  }
}

TEST(OperatorsPlan, RotaryEmbeddings) {
  const std::string caches = "fixedc: float[9,4], fixeds: float[9,4]";
  for (const std::string interleaved : {"0", "1"}) {
    const std::string attributes = "interleaved = " + interleaved;
    expect_fast(of("x: float[2,3,5,8], " + caches + ", p: int64[2,5]", "RotaryEmbedding(x, fixedc, fixeds, p) {" + attributes + "}", 23));
    expect_fast(of("x: float[2,5,24], " + caches + ", p: int64[2,5]", "RotaryEmbedding(x, fixedc, fixeds, p) {num_heads = 3, " + attributes + "}", 23));
    expect_fast(of("x: float[2,3,5,10], fixedc: float[2,5,4], fixeds: float[2,5,4]", "RotaryEmbedding(x, fixedc, fixeds) {rotary_embedding_dim = 8, " + attributes + "}", 23));
  }
}

/// Rounding away from the halves, where single and double precision could part.
TEST(OperatorsPlan, QuantizationByTheStraightThroughEstimator) {
  for (const auto& [scale, axis] : std::vector<std::pair<std::string, std::string>>{{"s: float[] = 0.0173\n z: int8[] = 3", "1"},
                                                                                    {"s: float[3] = {0.0173, 0.011, 0.02}\n z: int8[3] = {3, 0, -2}", "1"}}) {
    const PlanCheck how{.tolerance = 2e-4};
    expect_fast("graph g (x: float[2,3,4,5]) -> (y) opset 19 { " + scale + "\n q = QuantizeLinear(x, s, z) {axis = " + axis + "}\n y = DequantizeLinear(q, s, z) {axis = " + axis + "} }", how);
  }
}

TEST(OperatorsPlan, GridSamples) {
  for (const std::string mode : {"linear", "nearest", "cubic"}) {
    for (const std::string padding : {"zeros", "border", "reflection"}) {
      for (const std::string corners : {"0", "1"}) {
        const std::string attributes = " {mode = \"" + mode + "\", padding_mode = \"" + padding + "\", align_corners = " + corners + "}";
        expect_fast(of("x: float[2,3,4,5], g: float[2,3,6,2]", "GridSample(x, g)" + attributes, 20), {.tolerance = 3e-5, .low = -1.3f, .high = 1.3f});
      }
    }
  }
  expect_fast(of("x: float[2,3,3,4,5], g: float[2,2,3,4,3]", "GridSample(x, g)", 20), {.low = -1.3f, .high = 1.3f});
  expect_fast("graph g (x: float[2,3,4,5], g: float[2,3,6,2]) -> (y) opset 20 { f: float[] = 0.5\n h = Mul(g, f)\n y = GridSample(x, h) }");
}

TEST(OperatorsPlan, ProductsByEquation) {
  for (const auto& [equation, a, b] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"ij,jk->ik", "3,4", "4,5"}, {"bqhd,bkhd->bhqk", "2,3,4,5", "2,6,4,5"}, {"bhqk,bkhd->bqhd", "2,4,3,6", "2,6,4,5"},
           {"ij,kj->ki", "3,4", "5,4"}, {"i,j->ij", "3", "4"}, {"bij,bij->b", "2,3,4", "2,3,4"}, {"nchw,oc->nohw", "2,3,4,5", "6,3"},
           {"ij,ij->ij", "3,4", "3,4"}, {"ij,j->ij", "3,4", "4"}, {"bij,bjk", "2,3,4", "2,4,5"}, {"...ij,...jk->...ik", "2,3,4", "2,4,5"}}) {
    expect_fast(of("a: float[" + a + "], b: float[" + b + "]", "Einsum(a, b) {equation = \"" + equation + "\"}"));
  }
  for (const std::string equation : {"ii->i", "ii"}) expect_fast(of("a: float[4,4]", "Einsum(a) {equation = \"" + equation + "\"}"));
  for (const std::string equation : {"ij->ji", "ij->i", "ij->", "ij->j", "ij"}) expect_fast(of("a: float[3,4]", "Einsum(a) {equation = \"" + equation + "\"}"));
}

TEST(OperatorsPlan, FirstOutputsMayBeOmitted) {
  for (const std::string node : {"_, y = Split(x) {axis = 1}", "_, y = MaxPool(x) {kernel_shape = [2,2]}", "_, y = TopK(x, k)", "_, y = Dropout(x)",
                                 "_, y = LayerNormalization(x, s)", "_, _, y = LayerNormalization(x, s)", "_, y = SoftmaxCrossEntropyLoss(x, l)",
                                 "_, y, _ = BatchNormalization(x, s, s, s, s) {training_mode = 1}"}) {
    testing::check_plan("graph g (x: float[2,4,3,4]) -> (y) opset 17 { k: int64[1] = {2}\n s: float[4] = {1, 2, 3, 4}\n l: int64[2,3,4] = {" +
                   std::string("0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3") + "}\n " + node + " }", {.backward = false});
  }
  for (const std::string node : {"_, y = LSTM(x, w, r)", "_, _, y = LSTM(x, w, r)", "_, y = GRU(x, w3, r3)", "_, y = RNN(x, w1, r1)"}) {
    testing::check_plan("graph g (x: float[3,2,4]) -> (y) opset 17 { w: float[1,8,4] = fill(1)\n r: float[1,8,2] = fill(2)\n w3: float[1,6,4] = fill(1)\n"
               "r3: float[1,6,2] = fill(2)\n w1: float[1,2,4] = fill(1)\n r1: float[1,2,2] = fill(2)\n " + node + " }", {.backward = false});
  }
}

}  // namespace
}  // namespace espalier
