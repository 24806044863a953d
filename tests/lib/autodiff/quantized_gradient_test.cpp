// The straight-through estimator of quantization: no central differences, since the function itself is a staircase.
#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// dL/dx for L = sum(y * c).
Tensor gradient_at(const std::string& nodes, const Tensor& x) {
  const Graph graph = parse_graph("graph g (x: float[2,3]) -> (loss) opset 21 { c: float[2,3] = {1, 2, 3, 4, 5, 6}\n" + nodes +
                                  "\n p = Mul(y, c)\n loss = ReduceSum(p) {keepdims = 0} }");
  const ValueId wanted[] = {graph.find_value("x")};
  const TrainingGraph training = differentiate(graph, graph.find_value("loss"), wanted);
  const std::string name = training.graph.value(training.gradients.at(0).grad).name;
  return run_reference(training.graph, {{"x", x}}).at(name);
}

TEST(QuantizedGradient, PassesStraightThroughWithinTheRange) {
  const Tensor x = Tensor::of<float>({2, 3}, {0.1f, -0.2f, 63, 64.5f, -65, 3.3f});
  const Tensor dx = gradient_at("s: float[] = {0.5}\n z: int8[] = {0}\n q = QuantizeLinear(x, s, z)\n y = DequantizeLinear(q, s, z)", x);
  EXPECT_EQ(dx, Tensor::of<float>({2, 3}, {1, 2, 3, 0, 0, 6}));  // -64 .. 63.5 is the range
}

TEST(QuantizedGradient, FollowsTheScalesOfAnAxis) {
  const Tensor x = Tensor::of<float>({2, 3}, {200, 200, 200, -1, 100, 1});
  const Tensor dx = gradient_at("s: float[3] = {1, 0.5, 2}\n q = QuantizeLinear(x, s)\n y = DequantizeLinear(q, s)", x);
  EXPECT_EQ(dx, Tensor::of<float>({2, 3}, {1, 0, 3, 0, 5, 6}));  // uint8: up to 255, 127.5 and 510
}

}  // namespace
}  // namespace espalier
