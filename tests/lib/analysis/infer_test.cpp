#include "lib/analysis/infer.h"

#include <gtest/gtest.h>

#include "lib/analysis/cost.h"
#include "lib/analysis/reference.h"

namespace espalier {
namespace {

Node node(std::string op_type, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Node n;
  n.op_type = std::move(op_type);
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  n.version = 13;
  return n;
}

/// y = Identity(x), x: float[batch,?,3]
struct Chain {
  Graph graph;
  ValueId x, y;
  Chain() {
    graph.opsets[""] = 13;
    x = graph.add_value("x", Type::tensor(DataType::float32, SymbolicDims{Dim::symbol("batch"), Dim(), 3}));
    y = graph.add_value("y");
    graph.inputs = {x};
    graph.outputs = {y};
    graph.add_node(node("Identity", {x}, {y}));
  }
};

TEST(Infer, KeepsTheBatchSymbolAndNamesMissingSizes) {
  Chain c;
  EXPECT_EQ(infer(c.graph).type(c.y).str(), "float[batch,x.1,3]");
}

TEST(Infer, BindsSymbolsByName) {
  Chain c;
  EXPECT_EQ(infer(c.graph, {.symbols = {{"batch", 8}}}).type(c.y).str(), "float[8,x.1,3]");
}

TEST(Infer, TakesGivenInputSizesAndBindsTheirSymbolsElsewhere) {
  Chain c;
  const ValueId z = c.graph.add_value("z", Type::tensor(DataType::float32, SymbolicDims{Dim::symbol("batch")}));
  c.graph.inputs.push_back(z);
  const FactTable facts = infer(c.graph, {.input_dims = {{"x", {4, 5, 6}}}});
  EXPECT_EQ(facts.type(c.y).str(), "float[4,5,6]");
  EXPECT_EQ(facts.type(z).str(), "float[4]");
}

TEST(Infer, RefusesGivenSizesOfAnotherRank) {
  Chain c;
  EXPECT_THROW(infer(c.graph, {.input_dims = {{"x", {4}}}}), Error);
}

TEST(Infer, RefusesADeclaredOutputOfAnotherElementTypeOrRank) {
  Chain c;
  c.graph.value(c.y).type = Type::tensor(DataType::int64);
  EXPECT_THROW(infer(c.graph), Error);
  c.graph.value(c.y).type = Type::tensor(DataType::float32, SymbolicDims{1, 2});
  EXPECT_THROW(infer(c.graph), Error);
  c.graph.value(c.y).type = Type::tensor(DataType::float32, SymbolicDims{1, 2, 9});  // sizes lie in real files
  EXPECT_NO_THROW(infer(c.graph));
}

TEST(Infer, OutputsOfOpaqueOpsAreWhatTheFileDeclares) {
  Chain c;
  const ValueId z = c.graph.add_value("z", Type::tensor(DataType::float32, SymbolicDims{7}));
  const ValueId w = c.graph.add_value("w");
  c.graph.add_node(node("Mystery", {c.y}, {z, w}));
  const FactTable facts = infer(c.graph);
  EXPECT_EQ(facts.type(z).str(), "float[7]");
  EXPECT_EQ(facts.type(w).str(), "?");
  EXPECT_EQ(infer(c.graph, {.symbols = {{"batch", 8}}}).type(z).str(), "float[?]");
  EXPECT_EQ(graph_cost(c.graph, facts).opaque.size(), 1u);
}

TEST(Infer, ConstantsPassThroughUnlessTheyAreFed) {
  Chain c;
  c.graph.set_initializer(c.x, Tensor::of<float>({1, 1, 3}, {1, 2, 3}));
  EXPECT_NE(infer(c.graph).constant(c.y), nullptr);
  EXPECT_EQ(infer(c.graph, {.fed = {"x"}}).constant(c.y), nullptr);
}

TEST(Reference, RunsAndChecksFeeds) {
  Chain c;
  const Tensor value = Tensor::of<float>({1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(run_reference(c.graph, {{"x", value}}).at("y"), value);
  EXPECT_EQ(run_reference(c.graph, {{"x", value}}, {.in_double = true}).at("y"), value.cast(DataType::float64));
  EXPECT_EQ(run_reference(c.graph, {{"x", value}}, {.all_values = true}).count("x"), 1u);
  EXPECT_THROW(run_reference(c.graph, {}), Error);
  EXPECT_THROW(run_reference(c.graph, {{"x", value.cast(DataType::int32)}}), Error);
  EXPECT_THROW(run_reference(c.graph, {{"x", value.reshaped({3, 1, 1})}}), Error);
}

TEST(Reference, NamesTheOpaqueOp) {
  Chain c;
  const ValueId z = c.graph.add_value("z");
  c.graph.add_node(node("Mystery", {c.y}, {z}));
  try {
    run_reference(c.graph, {{"x", Tensor::of<float>({1, 1, 3}, {1, 2, 3})}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::bad_data);
    EXPECT_NE(std::string(e.what()).find("Mystery"), std::string::npos);
  }
}

}  // namespace
}  // namespace espalier
