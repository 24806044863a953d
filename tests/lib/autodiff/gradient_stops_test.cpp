#include "lib/autodiff/gradient_stops.h"

#include <gtest/gtest.h>

#include "lib/graph/text.h"

namespace espalier {
namespace {

std::vector<std::string> stops(const std::string& text) {
  const Graph graph = parse_graph(text);
  const ValueId wanted[] = {graph.find_value("w")};
  std::vector<std::string> ops;
  for (const NodeId id : gradient_stops(graph, graph.outputs[0], wanted)) ops.push_back(graph.node(id).op_type);
  return ops;
}

TEST(GradientStops, NamesWhatMakesIntegersOfFloats) {
  EXPECT_EQ(stops(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    h = MatMul(x, w)
    class = ArgMax(h) {axis = 1}
    y = Cast(class) {to = 1}
  })"), (std::vector<std::string>{"ArgMax"}));
}

TEST(GradientStops, FindsNoneWhereGradientsFlow) {
  EXPECT_TRUE(stops(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    h = MatMul(x, w)
    shape = Shape(h)
    y = Reshape(h, shape)
  })").empty());
}

TEST(GradientStops, FindsNoneWhereTheLossDoesNotDepend) {
  EXPECT_TRUE(stops(R"(graph g (x: float[2,3]) -> (y) opset 13 {
    w: float[3,4] = fill(1)
    h = MatMul(x, w)
    y = Cast(x) {to = 11}
  })").empty());
}

}  // namespace
}  // namespace espalier
