// Gradients of normalisations, products, reductions and activations, against central differences in double.
#include <gtest/gtest.h>

#include "lib/ops/op.h"
#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

GRADIENT_TEST(NormalizationGradient, OfRows) {
  EXPECT_GRADIENTS(one("x: float[n,3,5], s: float[5], b: float[5]", "LayerNormalization(x, s, b)"));
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[3,4], b: float[3,4]", "LayerNormalization(x, s, b) {axis = 1, epsilon = 0.1}"));
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[4], b: float[3,4]", "LayerNormalization(x, s, b) {axis = 1}")) << "a scale that is broadcast";
  EXPECT_GRADIENTS(one("x: float[n,3,5], s: float[5]", "LayerNormalization(x, s)"));
  EXPECT_GRADIENTS(one("x: float[n,3,5], s: float[5]", "RMSNormalization(x, s)", "", 23));
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[3,4]", "RMSNormalization(x, s) {axis = -2, epsilon = 0.01}", "", 23));
}

GRADIENT_TEST(NormalizationGradient, OfChannels) {
  EXPECT_GRADIENTS(one("x: float[n,3,5], s: float[3], b: float[3]", "InstanceNormalization(x, s, b)"));
  EXPECT_GRADIENTS(one("x: float[n,2,3,2], s: float[2], b: float[2]", "InstanceNormalization(x, s, b) {epsilon = 0.1}"));
  EXPECT_GRADIENTS(one("x: float[n,4,3], s: float[4], b: float[4]", "GroupNormalization(x, s, b) {num_groups = 2}", "", 21));
  EXPECT_GRADIENTS(one("x: float[n,4,2,2], s: float[4], b: float[4]", "GroupNormalization(x, s, b) {num_groups = 1, epsilon = 0.1}", "", 21));
  EXPECT_GRADIENTS(one("x: float[n,6,2], s: float[3], b: float[3]", "GroupNormalization(x, s, b) {num_groups = 3}", "", 18));
}

GRADIENT_TEST(NormalizationGradient, WithoutParameters) {
  EXPECT_GRADIENTS(one("x: float[n,3,2,2]", "MeanVarianceNormalization(x)"));
  EXPECT_GRADIENTS(one("x: float[n,3,2,2]", "MeanVarianceNormalization(x) {axes = [1,2,3]}"));
  for (const std::string axis : {"0", "1", "-1"}) {
    for (const std::string p : {"1", "2"}) {
      EXPECT_GRADIENTS(one("x: float[n,3,4]", "LpNormalization(x) {axis = " + axis + ", p = " + p + "}"));
    }
  }
  EXPECT_GRADIENTS(one("x: float[n,6,2]", "LRN(x) {size = 3, alpha = 0.5, beta = 0.75, bias = 2.0}"), {.low = -2, .high = 2});
  EXPECT_GRADIENTS(one("x: float[n,5,2,2]", "LRN(x) {size = 4, alpha = 1.0, beta = 0.5}"), {.low = -2, .high = 2});
}

GRADIENT_TEST(LpPoolGradient, InWindowsAndGlobally) {
  for (const std::string p : {"1", "2", "3"}) {
    EXPECT_GRADIENTS(one("x: float[n,2,4,4]", "GlobalLpPool(x) {p = " + p + "}"));
    EXPECT_GRADIENTS(one("x: float[n,2,5]", "LpPool(x) {kernel_shape = [3], strides = [2], pads = [1,1], p = " + p + "}"));
  }
  EXPECT_GRADIENTS(one("x: float[n,1,5,4]", "LpPool(x) {kernel_shape = [2,2], ceil_mode = 1, strides = [2,2]}", "", 18));
}

GRADIENT_TEST(ReductionGradient, OfProductsWithZerosToo) {
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "ReduceProd(x) {axes = [1]}"));
  EXPECT_GRADIENTS(one("x: float[n,3,2]", "ReduceProd(x) {axes = [0,2], keepdims = 0}"));
  EXPECT_GRADIENTS(one("x: float[2,3]", "ReduceProd(x)"));
  EXPECT_GRADIENTS(one("x: float[2,3]", "ReduceProd(x) {axes = [1]}"), {.feeds = {{"x", Tensor::of<float>({2, 3}, {0, 2, 3, 0, 5, 0})}}});
}

GRADIENT_TEST(ReductionGradient, EqualExtremaShareIt) {
  const std::string text = "graph g (x: float[4]) -> (y) { m = ReduceMax(x) {keepdims = 0}\n w: float[] = 3\n y = Mul(m, w) }";
  EXPECT_GRADIENTS(text);
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "ReduceMin(x) {axes = [0,2]}"));
}

GRADIENT_TEST(ElementGradient, RestOfADivision) {
  EXPECT_GRADIENTS(one("a: float[n,5], b: float[5]", "Mod(a, b) {fmod = 1}"), {.low = 0.7, .high = 4.1});
  EXPECT_GRADIENTS(one("a: float[n,1]", "Mod(a, c) {fmod = 1}", "c: float[3] = {1.5, -0.75, 0.45}"), {.low = -2, .high = 2});
}

GRADIENT_TEST(ElementGradient, SlopesBelowZero) {
  EXPECT_GRADIENTS(one("x: float[n,3,4], s: float[3,1]", "PRelu(x, s)"));
  EXPECT_GRADIENTS(one("x: float[n,12]", "Selu(x) {alpha = 0.8, gamma = 1.3}"), {.low = -3, .high = 3});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Celu(x) {alpha = 2.5}"), {.low = -3, .high = 3});
}

GRADIENT_TEST(EinsumGradient, OfProductsSumsAndBroadcasts) {
  for (const std::string equation : {"ij,jk->ik", "bij,bjk->bik", "bhqd,bhkd->bhqk", "bhqk,bkhd->bqhd", "i,j->ij", "ij,ij->", "ij,kj->ki"}) {
    const auto comma = equation.find(','), arrow = equation.find('-');
    const auto dims = [](const std::string& labels) {
      std::string text;
      for (const char label : labels) text += (text.empty() ? "" : ",") + std::string(label == 'b' ? "n" : label == 'h' ? "2" : label == 'd' ? "3" : "2");
      return "float[" + text + "]";
    };
    EXPECT_GRADIENTS(one("a: " + dims(equation.substr(0, comma)) + ", b: " + dims(equation.substr(comma + 1, arrow - comma - 1)),
                         "Einsum(a, b) {equation = \"" + equation + "\"}"))
        << equation;
  }
  EXPECT_GRADIENTS(one("a: float[n,3,4]", "Einsum(a) {equation = \"ijk->kj\"}"));
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3,4], c: float[4,2]", "Einsum(a, b, c) {equation = \"ij,jk,kl\"}"));
  EXPECT_GRADIENTS(one("a: float[n,2,3], b: float[3,4]", "Einsum(a, b) {equation = \"...j,jk->...k\"}"));
}

GRADIENT_TEST(MatMulGradient, OfStacksVectorsAndBroadcasts) {
  EXPECT_GRADIENTS(one("a: float[n,2,3,4], b: float[n,2,4,3]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,1,3,4], b: float[2,4,2]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[3,4], b: float[n,4,2]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,3,4], b: float[4]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[4], b: float[n,4,2]", "MatMul(a, b)"));
  EXPECT_GRADIENTS(one("a: float[n,2,3,4], b: float[4,2]", "MatMul(a, b)"));
}

GRADIENT_TEST(AttentionGradient, EveryFormAndAttribute) {
  const std::string four = "q: float[n,2,3,4], k: float[n,2,5,4], v: float[n,2,5,3]";
  for (const std::string attributes : {"", "{scale = 0.3}", "{is_causal = 1}", "{softcap = 0.7}"}) {
    EXPECT_GRADIENTS(one(four, "Attention(q, k, v) " + attributes, "", 23)) << attributes;
  }
  EXPECT_GRADIENTS(one(four, "Attention(q, k, v, m)", "m: float[3,5] = fill(3)", 23));
  EXPECT_GRADIENTS(one("q: float[n,4,2,3], k: float[n,2,3,3], v: float[n,2,3,2]", "Attention(q, k, v)", "", 23)) << "grouped queries";
  EXPECT_GRADIENTS(one("q: float[n,2,8], k: float[n,3,4], v: float[n,3,6]", "Attention(q, k, v) {q_num_heads = 4, kv_num_heads = 2}", "", 23));
}

GRADIENT_TEST(AttentionGradient, OfTheMaskThePastAndThePresent) {
  const std::string four = "q: float[n,2,3,4], k: float[n,2,5,4], v: float[n,2,5,3]";
  for (const std::string mask : {"3,5", "2,1,5", "n,1,3,5", "n,2,3,5", "3,1", "3,4"}) {
    for (const std::string attributes : {"", "{softcap = 0.7}", "{is_causal = 1}"}) {
      EXPECT_GRADIENTS(one(four + ", m: float[" + mask + "]", "Attention(q, k, v, m) " + attributes, "", 23)) << mask << attributes;
    }
  }
  EXPECT_GRADIENTS(one(four, "Attention(q, k, v, m)", "m: bool[3,5] = {1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1}", 23));
  const std::string past = four + ", pk: float[n,2,2,4], pv: float[n,2,2,3]";
  const std::string end = " = Attention(q, k, v, _, pk, pv) {is_causal = 1, softcap = 2.0}";
  for (const std::string y : {"y", "p", "w"}) {
    EXPECT_GRADIENTS("graph g (" + past + ") -> (" + y + ") opset 23 { y, p, w" + end + " }") << y;
  }
  EXPECT_GRADIENTS("graph g (" + past + ") -> (z) opset 23 { y, p, w" + end + "\n a = ReduceMean(y)\n b = ReduceSumSquare(p)\n c = ReduceSumSquare(w)\n d = Mul(a, b)\n z = Add(d, c) }");
}

GRADIENT_TEST(AttentionGradient, ThroughTheScoresThatItShows) {
  const std::string inputs = "graph g (q: float[n,4,3,4], k: float[n,2,5,4], v: float[n,2,5,3], m: float[3,5]) -> (z) opset 23 ";
  for (const std::string mode : {"0", "1", "2", "3"}) {
    for (const std::string cap : {"", ", softcap = 0.7"}) {
      const std::string node = "y, pk, pv, z = Attention(q, k, v, m) {qk_matmul_output_mode = " + mode + cap + "}";
      EXPECT_GRADIENTS(inputs + "{ " + node + " }") << node << ": alone";
      EXPECT_GRADIENTS(inputs + "{ y, _, _, w = Attention(q, k, v, m) {qk_matmul_output_mode = " + mode + cap +
                       "}\n a = ReduceSumSquare(y) {keepdims = 0}\n z = Mul(w, a) }") << node;
    }
  }
}

GRADIENT_TEST(EinsumGradient, OfDiagonalsAndBroadcastLabels) {
  for (const std::string equation : {"ii->i", "ii->", "iij->ij", "iji->j", "iji->i"}) {
    const std::string dims = equation[2] == '-' ? "3,3" : equation[1] == 'i' ? "3,3,2" : "3,2,3";
    EXPECT_GRADIENTS(one("a: float[" + dims + "]", "Einsum(a) {equation = \"" + equation + "\"}")) << equation;
  }
  EXPECT_GRADIENTS(one("a: float[3,3], b: float[3,4]", "Einsum(a, b) {equation = \"ii,ij->j\"}"));
  EXPECT_GRADIENTS(one("a: float[3,3,2], b: float[2,2]", "Einsum(a, b) {equation = \"iij,jj->i\"}"));
  for (const std::string equation : {"ij,ij->ij", "ij,ij->i", "ij,ij->", "ij,jk->ik"}) {
    EXPECT_GRADIENTS(one("a: float[1,4], b: float[" + std::string(equation[3] == 'i' ? "3,4" : "4,2") + "]", "Einsum(a, b) {equation = \"" + equation + "\"}")) << equation;
    EXPECT_GRADIENTS(one("a: float[3,1], b: float[" + std::string(equation[3] == 'i' ? "3,4" : "4,2") + "]", "Einsum(a, b) {equation = \"" + equation + "\"}")) << equation;
  }
}

GRADIENT_TEST(RotaryEmbeddingGradient, TurnsBack) {
  const std::string caches = "c: float[5,2] = fill(1)\n s: float[5,2] = fill(2)\n p: int64[2,3] = {0, 1, 2, 4, 3, 1}";
  EXPECT_GRADIENTS(one("x: float[2,2,3,4]", "RotaryEmbedding(x, c, s, p)", caches, 23));
  EXPECT_GRADIENTS(one("x: float[2,2,3,6]", "RotaryEmbedding(x, c, s, p) {interleaved = 1, rotary_embedding_dim = 4}", caches, 23));
  EXPECT_GRADIENTS(one("x: float[2,3,8]", "RotaryEmbedding(x, c, s, p) {num_heads = 2}", caches, 23));
}

GRADIENT_TEST(LossGradient, OfClassesWithEveryAttribute) {
  for (const std::string dims : {"", ",3", ",2,2"}) {
    const Dims places = dims.empty() ? Dims{2} : dims == ",3" ? Dims{2, 3} : Dims{2, 2, 2};
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < element_count(places); ++i) labels.push_back(i * 7 % 4);
    const GradientCheck options{.feeds = {{"t", Tensor::of<int64_t>(places, labels)}}};
    const std::string inputs = "x: float[2,4" + dims + "], t: int64[2" + dims + "]", weights = "w: float[4] = {0.5, 2, 0.1, 1}";
    for (const std::string loss : {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}) {
      for (const std::string reduction : {"mean", "sum", "none"}) {
        for (const std::string ignore : {"", "ignore_index = 3, "}) {
          const std::string attributes = " {" + ignore + "reduction = \"" + reduction + "\"}";
          EXPECT_GRADIENTS(one(inputs, loss + "(x, t)" + attributes), options) << loss << dims << attributes;
          EXPECT_GRADIENTS(one(inputs, loss + "(x, t, w)" + attributes, weights), options) << loss << dims << attributes;
        }
      }
    }
  }
}

}  // namespace
}  // namespace espalier::testing
