#include "lib/graph/graph.h"

#include <gtest/gtest.h>

#include "lib/base/error.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

Graph chain() { return parse_graph("graph (x) -> (y) { w: float[1] = 2\n a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"); }

std::vector<std::string> ops(const Graph& g) {
  std::vector<std::string> result;
  for (const NodeId id : g.nodes()) result.push_back(g.node(id).op_type);
  return result;
}

TEST(Graph, KnowsMakersAndReaders) {
  const Graph g = chain();
  const ValueId a = g.find_value("a");
  EXPECT_EQ(g.node(g.producer(a)).op_type, "Mul");
  EXPECT_EQ(g.users(a).size(), 2u);
  EXPECT_EQ(g.producer(g.find_value("x")), kNone);
  EXPECT_TRUE(g.is_input(g.find_value("x")));
  EXPECT_TRUE(g.is_output(g.find_value("y")));
  EXPECT_EQ(g.find_value("nothing"), kNone);
}

TEST(Graph, MakesNamesUnique) {
  Graph g;
  EXPECT_EQ(g.value(g.add_value("a")).name, "a");
  EXPECT_EQ(g.value(g.add_value("a")).name, "a_1");
  EXPECT_EQ(g.value(g.add_value("a")).name, "a_2");
  EXPECT_EQ(g.value(g.add_value("")).name, "value");
  EXPECT_THROW(g.rename_value(0, "a_1"), Error);
  g.rename_value(0, "b");
  EXPECT_EQ(g.find_value("a"), kNone);
  EXPECT_EQ(g.find_value("b"), 0);
}

TEST(Graph, KeepsUseListsWhenEdited) {
  Graph g = chain();
  const ValueId a = g.find_value("a"), b = g.find_value("b"), x = g.find_value("x");
  const NodeId add = g.nodes()[2];
  g.set_input(add, 1, b);
  EXPECT_EQ(g.users(a).size(), 1u);
  EXPECT_EQ(g.users(b).size(), 1u);  // twice by one node
  g.replace_uses(b, x);
  EXPECT_EQ(g.users(b).size(), 0u);
  EXPECT_EQ(g.node(add).inputs, (std::vector<ValueId>{x, x}));
  g.erase_node(g.producer(b));
  EXPECT_EQ(g.producer(b), kNone);
  EXPECT_EQ(g.users(a).size(), 0u);
  EXPECT_EQ(ops(g), (std::vector<std::string>{"Mul", "Add"}));
}

TEST(Graph, NeverReusesIds) {
  Graph g = chain();
  const NodeId gone = g.nodes()[1];
  g.erase_node(gone);
  Node node;
  node.op_type = "Neg";
  node.inputs = {g.find_value("a")};
  node.outputs = {g.find_value("b")};
  const NodeId fresh = g.add_node(std::move(node), g.nodes()[1]);
  EXPECT_NE(fresh, gone);
  EXPECT_FALSE(g.contains(gone));
  EXPECT_THROW(g.node(gone), Error);
  EXPECT_EQ(ops(g), (std::vector<std::string>{"Mul", "Neg", "Add"}));
}

TEST(Graph, AllowsOneMakerOfAValue) {
  Graph g = chain();
  Node node;
  node.op_type = "Neg";
  node.outputs = {g.find_value("b")};
  EXPECT_THROW(g.add_node(std::move(node)), Error);
}

TEST(Graph, IsAValue) {
  const Graph g = chain();
  Graph copy = g;
  EXPECT_TRUE(same_graph(g, copy));
  copy.set_attribute(copy.nodes()[0], "a", int64_t{1});
  EXPECT_FALSE(same_graph(g, copy));
  EXPECT_FALSE(g.node(g.nodes()[0]).has("a"));
}

TEST(Graph, DiffersInWhatCounts) {
  const Graph g = chain();
  const auto differs = [&](const char* text) { return !same_graph(g, parse_graph(text)); };
  EXPECT_FALSE(differs("graph (x) -> (y) { w: float[1] = 2\n a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"));
  EXPECT_TRUE(differs("graph (x) -> (y) { w: float[1] = 3\n a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"));
  EXPECT_TRUE(differs("graph (x) -> (y) { w: float[1] = 2\n a = Mul(w, x)\n b = Relu(a)\n y = Add(b, a) }"));
  EXPECT_TRUE(differs("graph (x: float[2]) -> (y) { w: float[1] = 2\n a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"));
  EXPECT_TRUE(differs("graph (x) -> (y) opset 16 { w: float[1] = 2\n a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"));
  EXPECT_TRUE(differs("graph (x) -> (y) { w: float[1] = 2\n \"n\": a = Mul(x, w)\n b = Relu(a)\n y = Add(b, a) }"));
}

TEST(Graph, FindsConstants) {
  Graph g = parse_graph("graph (x) -> (y) { w: float[1] = 2\n c = Constant() {value = int64[1] {5}}\n y = Add(x, c) }");
  EXPECT_EQ(g.constant(g.find_value("w"))->to_doubles()[0], 2);
  EXPECT_EQ(g.constant(g.find_value("c"))->to_int64s()[0], 5);
  EXPECT_EQ(g.constant(g.find_value("y")), nullptr);
  EXPECT_EQ(g.initializer(g.find_value("c")), nullptr);
  g.set_initializer(g.find_value("w"), Tensor::scalar(7.0f));
  EXPECT_EQ(g.initializer(g.find_value("w"))->to_doubles()[0], 7);
  g.erase_initializer(g.find_value("w"));
  EXPECT_EQ(g.initializer(g.find_value("w")), nullptr);
  EXPECT_TRUE(g.initializers().empty());
}

TEST(Node, ReadsAttributesByKind) {
  Node node;
  node.op_type = "Conv";
  node.attributes = {{"group", int64_t{2}, {}}, {"pads", std::vector<int64_t>{1}, {}}};
  EXPECT_EQ(node.get("group", int64_t{1}), 2);
  EXPECT_EQ(node.get("other", 0.5f), 0.5f);
  EXPECT_EQ(node.require<std::vector<int64_t>>("pads"), (std::vector<int64_t>{1}));
  EXPECT_THROW(node.get("group", 1.0f), Error);
  EXPECT_THROW(node.require<int64_t>("missing"), Error);
}

// The verifier; what the text form cannot say is built by hand.

TEST(Verify, AcceptsASoundGraph) { EXPECT_NO_THROW(verify(chain())); }

TEST(Verify, RefusesAReadBeforeItsMaker) {
  Graph g = chain();
  const auto order = g.nodes();
  g.reorder({order[1], order[0], order[2]});
  EXPECT_THROW(verify(g), Error);
}

TEST(Verify, RefusesAReadOfNothing) {
  Graph g = chain();
  g.erase_node(g.nodes()[1]);
  EXPECT_THROW(verify(g), Error);
}

TEST(Verify, RefusesAnOutputThatNobodyMakes) {
  Graph g = chain();
  g.outputs.push_back(g.add_value("z"));
  EXPECT_THROW(verify(g), Error);
}

TEST(Verify, RefusesAnInputThatIsMadeOrListedTwice) {
  Graph g = chain();
  g.inputs.push_back(g.find_value("a"));
  EXPECT_THROW(verify(g), Error);
  g = chain();
  g.inputs.push_back(g.inputs[0]);
  EXPECT_THROW(verify(g), Error);
}

TEST(Verify, LooksIntoBodies) {
  Graph body = chain();
  body.erase_node(body.nodes()[0]);
  Graph g = chain();
  g.set_attribute(g.nodes()[1], "body", Body(std::make_shared<const Graph>(body)));
  EXPECT_THROW(verify(g), Error);
}

TEST(Verify, BoundsNesting) {
  Graph g = chain();
  for (int i = 0; i < 40; ++i) {
    Graph outer = chain();
    outer.set_attribute(outer.nodes()[1], "body", Body(std::make_shared<const Graph>(g)));
    g = outer;
  }
  EXPECT_THROW(verify(g), Error);
}

}  // namespace
}  // namespace espalier
