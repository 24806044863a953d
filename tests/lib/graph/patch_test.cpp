#include "lib/graph/patch.h"

#include <gtest/gtest.h>

#include "lib/base/error.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

Type nothing(ValueId) { return {}; }

std::string text(const Graph& graph) { return print_graph(graph, {.max_elements = -1}); }

/// The graph that a text describes, printed.
std::string expected(const char* source) { return text(parse_graph(source)); }

TEST(Patch, ReplacesAValueAndRemovesWhatItNoLongerNeeds) {
  Graph g = parse_graph(R"(graph (x) -> (y) {
    two: float[1] = {2}
    a = Mul(x, two)
    b = Add(a, two)
    y = Relu(b)
  })");
  Patch patch(g);
  const ValueId three = patch.add_constant("three", Tensor::of<float>({1}, {3}));
  patch.replace(g.find_value("b"), patch.add_node("Mul", {g.find_value("x"), three}, {}, "c"));
  EXPECT_EQ(g.nodes().size(), 3u);  // nothing happens before apply
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  EXPECT_EQ(text(g), expected(R"(graph (x) -> (y) {
    three: float[1] = {3}
    c = Mul(x, three)
    y = Relu(c)
  })"));
  EXPECT_EQ(g.node(g.nodes()[0]).version, g.opset());
}

TEST(Patch, KeepsWhatOthersStillRead) {
  Graph g = parse_graph("graph (x) -> (y, z) { a = Relu(x)\n b = Neg(a)\n y = Exp(b)\n z = Abs(a) }");
  Patch patch(g);
  patch.replace(g.find_value("b"), patch.add_node("Sqrt", {g.find_value("x")}, {}, "s"));
  patch.apply(g, nothing);
  EXPECT_EQ(text(g), expected("graph (x) -> (y, z) { a = Relu(x)\n s = Sqrt(x)\n y = Exp(s)\n z = Abs(a) }"));
}

TEST(Patch, KeepsTheNameOfAGraphOutput) {
  Graph g = parse_graph("graph (x) -> (y: float[2]) { a = Relu(x)\n y = Neg(a)\n z = Abs(y)\n u = Exp(z) }");
  Patch patch(g);
  patch.replace(g.find_value("y"), patch.add_node("Sqrt", {g.find_value("a")}, {}, "s"));
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  EXPECT_EQ(text(g), expected("graph (x) -> (y: float[2]) { a = Relu(x)\n y = Sqrt(a)\n z = Abs(y)\n u = Exp(z) }"));
}

TEST(Patch, PassesAnInputToAnOutputByIdentity) {
  Graph g = parse_graph("graph (x) -> (y) { a = Dropout(x)\n y = Dropout(a) }");
  Patch patch(g);
  patch.replace(g.find_value("a"), g.find_value("x"));
  patch.replace(g.find_value("y"), g.find_value("a"));
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  const Node& last = g.node(g.nodes().back());
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
  EXPECT_EQ(last.op_type, "Identity");
  EXPECT_EQ(g.nodes().size(), 1u);
}

TEST(Patch, OneValueCanStandForTwoOutputs) {
  Graph g = parse_graph("graph (x) -> (y, z) { y = Relu(x)\n z = Relu(x) }");
  Patch patch(g);
  patch.replace(g.find_value("z"), g.find_value("y"));
  patch.apply(g, nothing);
  EXPECT_EQ(text(g), expected("graph (x) -> (y, z) { y = Relu(x)\n z = Identity(y) }"));
}

TEST(Patch, InsertsAfterAValue) {
  Graph g = parse_graph("graph (x) -> (y) { a = Relu(x)\n y = Neg(a) }");
  Patch patch(g);
  const ValueId a = g.find_value("a"), y = g.find_value("y");
  patch.replace(a, patch.add_node("Exp", {a}, {}, "e"));
  patch.replace(y, patch.add_node("Abs", {y}, {}, "f"));
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  EXPECT_EQ(text(g), expected("graph (x) -> (y) { a = Relu(x)\n e = Exp(a)\n y_before = Neg(e)\n y = Abs(y_before) }"));
}

TEST(Patch, KeepsANameThatABodyReads) {
  Graph g = parse_graph(R"(graph (x, c) -> (y) {
    a = Relu(x)
    y = If(c) {then_branch = graph () -> (t) { t = Neg(a) }, else_branch = graph () -> (e) { e = Abs(a) }}
  })");
  Patch patch(g);
  patch.replace(g.find_value("a"), patch.add_node("Exp", {g.find_value("x")}, {}, "b"));
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  EXPECT_EQ(g.node(g.nodes()[0]).op_type, "Exp");
  EXPECT_EQ(g.value(g.node(g.nodes()[0]).outputs[0]).name, "a");
  EXPECT_EQ(g.nodes().size(), 2u);
}

TEST(Patch, MovesANodeThatIsNeededEarlier) {
  Graph g = parse_graph("graph (x) -> (y, z) { a = Relu(x)\n y = Neg(a)\n b = Exp(x)\n z = Abs(b) }");
  Patch patch(g);
  patch.replace(g.find_value("a"), g.find_value("b"));
  patch.apply(g, nothing);
  EXPECT_NO_THROW(verify(g));
  EXPECT_EQ(text(g), expected("graph (x) -> (y, z) { b = Exp(x)\n y = Neg(b)\n z = Abs(b) }"));
}

TEST(Patch, RefusesAnotherTypeAndLeavesTheGraphAlone) {
  Graph g = parse_graph("graph (x: float[n,3]) -> (y) { a = Relu(x)\n y = Neg(a) }");
  const std::string before = text(g);
  const Type old = Type::tensor(DataType::float32, {Dim::symbol("n"), 3});
  const auto types = [&](ValueId) { return old; };
  const auto refused = [&](Type type) {
    Patch patch(g);
    patch.replace(g.find_value("a"), patch.add_node("Exp", {g.find_value("x")}, {}, "b", std::move(type)));
    try {
      patch.apply(g, types);
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      EXPECT_EQ(text(g), before);
      return true;
    }
  };
  EXPECT_TRUE(refused(Type::tensor(DataType::float64, {Dim::symbol("n"), 3})));
  EXPECT_TRUE(refused(Type::tensor(DataType::float32, {Dim::symbol("n"), 4})));
  EXPECT_TRUE(refused(Type::tensor(DataType::float32, {Dim::symbol("n") + 1, 3})));
  EXPECT_TRUE(refused(Type::tensor(DataType::float32, Dims{3})));
  EXPECT_FALSE(refused(Type::tensor(DataType::float32, {Dim(), Dim::symbol("m")})));
}

TEST(Patch, RefusesAGraphThatChangedMeanwhile) {
  Graph g = parse_graph("graph (x) -> (y) { y = Relu(x) }");
  Patch patch(g);
  g.add_value("other");
  EXPECT_THROW(patch.apply(g, nothing), Error);
}

TEST(Patch, RefusesACycle) {
  Graph g = parse_graph("graph (x) -> (y) { a = Relu(x)\n b = Neg(a)\n y = Abs(b) }");
  Patch patch(g);
  patch.replace(g.find_value("a"), g.find_value("b"));
  EXPECT_THROW(patch.apply(g, nothing), Error);
}

}  // namespace
}  // namespace espalier
