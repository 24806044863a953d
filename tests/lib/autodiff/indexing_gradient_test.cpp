// Gradients of the operators that index and move elements, against central differences in double.
#include <gtest/gtest.h>

#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

GRADIENT_TEST(IndexingGradient, GatherElementsSumsWhatIsReadTwice) {
  EXPECT_GRADIENTS(one("x: float[3,4]", "GatherElements(x, i) {axis = 1}", "i: int64[3,2] = {0, 0, 3, -1, 2, 1}"));
  EXPECT_GRADIENTS(one("x: float[3,4]", "GatherElements(x, i) {axis = -2}", "i: int32[2,3] = {0, 2, 2, 0, -3, 1}"));
  EXPECT_GRADIENTS(one("x: float[n,4]", "GatherElements(x, i)", "i: int64[5,4] = {0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, -1, -2, 0, 1, 1, 0, 1, 0}"));
}

GRADIENT_TEST(IndexingGradient, GatherND) {
  EXPECT_GRADIENTS(one("x: float[3,4,2]", "GatherND(x, i)", "i: int64[3,2] = {0, 1, 2, -1, 0, 1}"));
  EXPECT_GRADIENTS(one("x: float[3,4]", "GatherND(x, i)", "i: int64[2,2,1] = {0, 1, -1, 0}"));
  EXPECT_GRADIENTS(one("x: float[n,4,2]", "GatherND(x, i) {batch_dims = 1}", "i: int64[2,3,1] = {0, 0, 3, -1, 2, 1}"));
}

GRADIENT_TEST(IndexingGradient, ScatterElements) {
  const std::string inputs = "x: float[3,4], u: float[3,2]", indices = "i: int64[3,2] = {0, 1, 3, -2, 2, 1}";
  const std::string twice = "i: int64[3,2] = {0, 0, 3, -1, 2, 1}";
  EXPECT_GRADIENTS(one(inputs, "ScatterElements(x, i, u) {axis = 1}", indices));
  EXPECT_GRADIENTS(one("x: float[3,4], u: float[2,4]", "ScatterElements(x, i, u)", "i: int32[2,4] = {0, 1, 2, -1, 1, 2, 0, 0}"));
  EXPECT_GRADIENTS(one(inputs, "ScatterElements(x, i, u) {axis = -1, reduction = \"add\"}", twice));
  for (const std::string reduction : {"mul", "max", "min"}) {
    EXPECT_GRADIENTS(one(inputs, "ScatterElements(x, i, u) {axis = 1, reduction = \"" + reduction + "\"}", twice, 18)) << reduction;
  }
  EXPECT_GRADIENTS(one("x: float[4], u: float[2]", "Scatter(x, i, u)", "i: int64[2] = {3, 0}", 9));
}

GRADIENT_TEST(IndexingGradient, ScatteredProductsWithZeros) {
  const std::string graph = one("x: float[3], u: float[4]", "ScatterElements(x, i, u) {reduction = \"mul\"}", "i: int64[4] = {0, 0, 1, 2}", 18);
  EXPECT_GRADIENTS(graph, {.feeds = {{"x", Tensor::of<float>({3}, {2, 0, 3})}, {"u", Tensor::of<float>({4}, {0, 5, 0, 4})}}});
}

GRADIENT_TEST(IndexingGradient, ScatterND) {
  const std::string inputs = "x: float[3,4], u: float[2,4]", rows = "i: int64[2,1] = {2, 0}", twice = "i: int64[2,1] = {2, -1}";
  EXPECT_GRADIENTS(one(inputs, "ScatterND(x, i, u)", rows));
  EXPECT_GRADIENTS(one("x: float[3,4], u: float[2]", "ScatterND(x, i, u)", "i: int64[2,2] = {2, 0, 0, -1}"));
  for (const std::string reduction : {"add", "mul", "max", "min"}) {
    EXPECT_GRADIENTS(one(inputs, "ScatterND(x, i, u) {reduction = \"" + reduction + "\"}", twice, 18)) << reduction;
  }
}

GRADIENT_TEST(IndexingGradient, TileAndExpand) {
  EXPECT_GRADIENTS(one("x: float[n,3]", "Tile(x, r)", "r: int64[2] = {2, 3}"));
  EXPECT_GRADIENTS(one("x: float[n,1,3]", "Tile(x, r)", "r: int64[3] = {1, 4, 1}"));
  EXPECT_GRADIENTS(one("x: float[n,1]", "Expand(x, s)", "s: int64[3] = {3, 1, 4}"));
  EXPECT_GRADIENTS(one("x: float[]", "Expand(x, s)", "s: int64[2] = {2, 3}"));
}

GRADIENT_TEST(IndexingGradient, CumSum) {
  for (const std::string flags : {"", " {exclusive = 1}", " {reverse = 1}", " {exclusive = 1, reverse = 1}"}) {
    EXPECT_GRADIENTS(one("x: float[n,3,2]", "CumSum(x, a)" + flags, "a: int64[] = 1"));
    EXPECT_GRADIENTS(one("x: float[n,3]", "CumSum(x, a)" + flags, "a: int32[] = -1"));
  }
}

GRADIENT_TEST(IndexingGradient, Trilu) {
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "Trilu(x)"));
  EXPECT_GRADIENTS(one("x: float[4,3]", "Trilu(x, k) {upper = 0}", "k: int64[] = -1"));
}

GRADIENT_TEST(IndexingGradient, WhereOnBothSides) {
  const std::string condition = "c: bool[2,1] = {true, false}";
  EXPECT_GRADIENTS(one("a: float[n,3], b: float[3]", "Where(c, a, b)", condition));
  EXPECT_GRADIENTS(one("a: float[], b: float[1,4]", "Where(c, a, b)", condition));
}

GRADIENT_TEST(IndexingGradient, Compress) {
  EXPECT_GRADIENTS(one("x: float[n,3]", "Compress(x, c) {axis = -1}", "c: bool[3] = {true, false, true}"));
  EXPECT_GRADIENTS(one("x: float[n,3]", "Compress(x, c)", "c: bool[4] = {true, false, false, true}"));
}

GRADIENT_TEST(IndexingGradient, TopKGoesWhereTheValuesStood) {
  const std::string k = "k: int64[1] = {2}";
  for (const std::string flags : {"", " {axis = 0}", " {axis = 1, largest = 0}"}) {
    EXPECT_GRADIENTS("graph g (x: float[3,5]) -> (y, i) opset 17 { " + k + "\n y, i = TopK(x, k)" + flags + " }") << flags;
  }
  EXPECT_GRADIENTS("graph g (x: float[3,5]) -> (y) opset 17 { " + k + "\n y, _ = TopK(x, k) }");
  EXPECT_GRADIENTS("graph g (x: float[3,5]) -> (y) opset 9 { y, _ = TopK(x) {k = 2} }");
}

GRADIENT_TEST(IndexingGradient, Col2Im) {
  const std::string sizes = "i: int64[2] = {4, 5}\n b: int64[2] = {2, 3}";
  EXPECT_GRADIENTS(one("x: float[n,12,9]", "Col2Im(x, i, b)", sizes, 18));
  EXPECT_GRADIENTS(one("x: float[1,6,6]", "Col2Im(x, i, b) {strides = [2,2], pads = [1,1,0,1], dilations = [2,1]}", sizes, 18));
}

GRADIENT_TEST(IndexingGradient, CenterCropPad) {
  EXPECT_GRADIENTS(one("x: float[5,4]", "CenterCropPad(x, s)", "s: int64[2] = {2, 7}", 18));
  EXPECT_GRADIENTS(one("x: float[n,3,4]", "CenterCropPad(x, s) {axes = [-1]}", "s: int64[1] = {1}", 18));
}

GRADIENT_TEST(IndexingGradient, ReduceProdWithZeros) {
  EXPECT_GRADIENTS(one("x: float[n,3,2]", "ReduceProd(x) {axes = [1], keepdims = 0}"));
  EXPECT_GRADIENTS(one("x: float[n,3]", "ReduceProd(x) {axes = [-2, -1]}"));
  EXPECT_GRADIENTS(one("x: float[n,3]", "ReduceProd(x)"));
  const auto zeros = Tensor::of<float>({3, 3}, {2, 0, 3, 0, 0, 4, 5, 6, 7});
  EXPECT_GRADIENTS(one("x: float[3,3]", "ReduceProd(x, a)", "a: int64[1] = {1}", 18), {.feeds = {{"x", zeros}}});
}

GRADIENT_TEST(IndexingGradient, PadInAllModes) {
  for (const std::string mode : {"constant", "reflect", "edge"}) {
    EXPECT_GRADIENTS(one("x: float[3,4]", "Pad(x, p) {mode = \"" + mode + "\"}", "p: int64[4] = {1, 2, 0, 3}")) << mode;
    EXPECT_GRADIENTS(one("x: float[4,3]", "Pad(x, p) {mode = \"" + mode + "\"}", "p: int64[4] = {-1, 2, 2, -1}")) << mode;
  }
  EXPECT_GRADIENTS(one("x: float[2,3]", "Pad(x, p) {mode = \"wrap\"}", "p: int64[4] = {1, 4, 0, 5}", 19));
  EXPECT_GRADIENTS(one("x: float[n,3]", "Pad(x, p, _, a)", "p: int64[2] = {1, 2}\n a: int64[1] = {-1}", 18));
}

GRADIENT_TEST(IndexingGradient, SliceWithSteps) {
  const auto slice = [](const std::string& s, const std::string& e, const std::string& a, const std::string& t) {
    return one("x: float[5,4]", "Slice(x, s, e, a, t)", "s: int64[1] = {" + s + "}\n e: int64[1] = {" + e + "}\n a: int64[1] = {" + a +
                                                            "}\n t: int64[1] = {" + t + "}");
  };
  EXPECT_GRADIENTS(slice("1", "5", "0", "2"));
  EXPECT_GRADIENTS(slice("-1", "-9223372036854775807", "0", "-1"));
  EXPECT_GRADIENTS(slice("3", "0", "-1", "-2"));
  EXPECT_GRADIENTS(slice("-2", "2147483647", "1", "1"));
}

GRADIENT_TEST(IndexingGradient, DepthToSpaceInBothModes) {
  EXPECT_GRADIENTS(one("x: float[n,8,2,1]", "DepthToSpace(x) {blocksize = 2}"));
  EXPECT_GRADIENTS(one("x: float[n,8,2,1]", "DepthToSpace(x) {blocksize = 2, mode = \"CRD\"}"));
  EXPECT_GRADIENTS(one("x: float[n,2,4,2]", "SpaceToDepth(x) {blocksize = 2}"));
}

GRADIENT_TEST(IndexingGradient, Shrink) {
  EXPECT_GRADIENTS(one("x: float[n,12]", "Shrink(x) {bias = 0.3, lambd = 1.0}"), {.low = -3, .high = 3});
  EXPECT_GRADIENTS(one("x: float[n,12]", "Shrink(x)"), {.low = -3, .high = 3});
}

GRADIENT_TEST(IndexingGradient, DetOfRegularAndSingularMatrices) {
  EXPECT_GRADIENTS(one("x: float[n,3,3]", "Det(x)"));
  EXPECT_GRADIENTS(one("x: float[1,1]", "Det(x)"));
  EXPECT_GRADIENTS(one("x: float[2,2]", "Det(x)"), {.feeds = {{"x", Tensor::of<float>({2, 2}, {1, 2, 2, 4})}}});
}

}  // namespace
}  // namespace espalier::testing
