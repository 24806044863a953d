#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "remove-dead-code";

TEST(RemoveDeadCode, TakesOutNodesAndInitialisersThatNoOutputNeeds) {
  const Ran ran = expect_pass(kPass, R"(graph g (x: float[2]) -> (y: float[2]) {
      w: float[2] = {1, 2}
      y = Relu(x)
      a = Exp(x)
      b = Mul(a, w)
    })", "graph g (x: float[2]) -> (y: float[2]) { y = Relu(x) }");
  EXPECT_EQ(ran.count("dead-nodes"), 2);
  EXPECT_EQ(ran.count("dead-initializers"), 1);
}

TEST(RemoveDeadCode, KeepsInputsThatNothingReads) {
  expect_untouched(kPass, "graph g (x: float[2], unused: float[3]) -> (y: float[2]) { y = Relu(x) }");
}

TEST(RemoveDeadCode, KeepsAnInitialisedInputFromIr4OnAndDropsItBefore) {
  Graph graph = parse_graph("graph g (x: float[2], w: float[2]) -> (y: float[2]) { y = Relu(x) }");
  graph.set_initializer(graph.find_value("w"), Tensor::of<float>({2}, {1, 2}));
  for (const int64_t ir : {3, 4}) {
    Model model;
    model.ir_version = ir;
    model.graph = graph;
    Pipeline::parse(kPass).run(model, {});
    EXPECT_EQ(model.graph.inputs.size(), ir == 3 ? 1u : 2u);
    EXPECT_EQ(model.graph.initializers().size(), ir == 3 ? 0u : 1u);
  }
}

TEST(RemoveDeadCode, KeepsWhatABodyReads) {
  const Graph graph = parse_graph(R"(graph g (c: bool[], x: float[2]) -> (z: float[2]) {
      y = Exp(x)
      z = If(c) {then_branch = graph () -> (t) { t = Neg(y) }, else_branch = graph () -> (e) { e = Abs(x)  d = Exp(y) }}
    })");
  Model model;
  model.graph = graph;
  const auto report = Pipeline::parse(kPass).run(model, {}).back();
  EXPECT_EQ(report.counters.at("dead-nodes"), 1) << print_graph(model.graph);
  EXPECT_EQ(model.graph.nodes().size(), 2u);
}

TEST(RemoveDeadCode, FollowsABodyThatNoLongerReads) {
  Model model;
  model.graph = parse_graph(R"(graph g (c: bool[], x: float[2]) -> (z: float[2]) {
      y = Exp(x)
      z = If(c) {then_branch = graph () -> (t) { t = Neg(x) }, else_branch = graph () -> (e) { e = Abs(x)  d = Exp(y) }}
    })");
  Pipeline::parse("remove-dead-code, remove-dead-code").run(model, {});
  EXPECT_EQ(model.graph.nodes().size(), 1u) << print_graph(model.graph);
}

TEST(RemoveDeadCode, KeepsANodeOfAnUnknownDomain) {
  Model model;
  model.graph = parse_graph("graph g (x: float[2]) -> (y: float[2]) opset 17, other 1 { y = Relu(x)  a = other::Log(x) }");
  EXPECT_FALSE(Pipeline::parse(kPass).run(model, {}).back().changed);
}

}  // namespace
}  // namespace espalier
