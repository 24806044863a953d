#include "lib/analysis/trainable.h"

#include <gtest/gtest.h>

#include "lib/graph/text.h"

namespace espalier {
namespace {

using Names = std::vector<std::string>;

Names trainable_names(const std::string& text) {
  const Graph graph = parse_graph(text);
  Names names;
  for (const ValueId v : trainable_parameters(graph, infer(graph))) names.push_back(graph.value(v).name);
  return names;
}

TEST(TrainableParameters, PositionsAndTheClassTokenOfATransformerAre) {
  EXPECT_EQ(trainable_names(R"(graph net (x: float[n,3,8,8]) -> (y) opset 13 {
    w: float[16,3,4,4] = fill(1)
    token: float[1,1,16] = fill(2)
    positions: float[5,16] = fill(3)
    patches_shape: int64[3] = {0, 16, 4}
    token_shape: int64[3] = {2, 1, 16}
    patches = Conv(x, w) {strides = [4,4]}
    flat = Reshape(patches, patches_shape)
    rows = Transpose(flat) {perm = [0,2,1]}
    tokens = Expand(token, token_shape)
    both = Concat(tokens, rows) {axis = 1}
    y = Add(both, positions)
  })"), (Names{"w", "token", "positions"}));
}

TEST(TrainableParameters, PaddingBesideWeightedChannelsIsNot) {
  EXPECT_EQ(trainable_names(R"(graph net (x: float[2,3,8,8]) -> (y) opset 13 {
    w: float[16,3,1,1] = fill(1)
    zeros: float[1,2,1,1] = {0, 0}
    shape: int64[4] = {2, 2, 8, 8}
    h = Conv(x, w)
    pad = Expand(zeros, shape)
    y = Concat(h, pad) {axis = 1}
  })"), (Names{"w"}));
}

TEST(TrainableParameters, ScaleAndBiasOfANormWrittenAsItsStepsAre) {
  EXPECT_EQ(trainable_names(R"(graph net (x: float[n,8]) -> (y) opset 13 {
    w: float[8,4] = fill(1)
    scale: float[4] = fill(2)
    bias: float[4] = fill(3)
    epsilon: float[] = 1e-5
    two: float[] = 2
    h = MatMul(x, w)
    mean = ReduceMean(h) {axes = [-1]}
    centred = Sub(h, mean)
    squares = Pow(centred, two)
    variance = ReduceMean(squares) {axes = [-1]}
    sum = Add(variance, epsilon)
    deviation = Sqrt(sum)
    normal = Div(centred, deviation)
    scaled = Mul(normal, scale)
    y = Add(scaled, bias)
  })"), (Names{"w", "scale", "bias"}));
}

}  // namespace
}  // namespace espalier
