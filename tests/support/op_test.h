#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::testing {

/// One use of an operator under test, without a graph around it.
struct OpUse {
  std::string op_type;
  int version = 17;
  std::vector<Attribute> attributes = {};
  size_t outputs = 1;
  std::string_view domain = "";
};

inline Attribute attribute(std::string name, Attribute::Value value) { return {std::move(name), std::move(value), ""}; }
inline Attribute ints(std::string name, std::vector<int64_t> values) { return attribute(std::move(name), std::move(values)); }
inline Attribute number(std::string name, int64_t value) { return attribute(std::move(name), value); }
inline Attribute real(std::string name, float value) { return attribute(std::move(name), value); }
inline Attribute text(std::string name, std::string value) { return attribute(std::move(name), std::move(value)); }

inline Tensor floats(Dims dims, const std::vector<float>& values) { return Tensor::of(std::move(dims), values); }
inline Tensor doubles(Dims dims, const std::vector<double>& values) { return Tensor::of(std::move(dims), values); }
inline Tensor int64s(const std::vector<int64_t>& values) { return Tensor::of({static_cast<int64_t>(values.size())}, values); }

/// A float (or other) type with sizes that may be symbols: `typed({"n", 3, 32})`.
struct Size : Dim {
  Size(int64_t size) : Dim(size) {}
  Size(int size) : Dim(size) {}
  Size(const char* symbol) : Dim(Dim::symbol(symbol)) {}
  Size(Dim dim) : Dim(std::move(dim)) {}
};
inline Type typed(std::initializer_list<Size> dims, DataType elem_type = DataType::float32) {
  return Type::tensor(elem_type, SymbolicDims(dims.begin(), dims.end()));
}

/// A fact that is only a type, one that is a constant, and none (an omitted input).
inline Fact fact(Type type) { return {std::move(type), std::nullopt, std::nullopt}; }
inline Fact fact(Tensor constant) { return {Type::tensor(constant.type(), constant.dims()), constant, std::nullopt}; }
inline Fact numbers(std::vector<Dim> elements) {
  const auto count = static_cast<int64_t>(elements.size());
  return {Type::tensor(DataType::int64, SymbolicDims{count}), std::nullopt, std::move(elements)};
}
inline Fact omitted() { return {}; }

/// A graph of the one node 'n' over inputs x0, x1 ... and outputs y0, y1 ...
struct OpHarness {
  Graph graph;
  NodeId id;
  const Op* op;

  OpHarness(const OpUse& use, const std::vector<bool>& present) {
    Node node;
    node.name = "n";
    node.op_type = use.op_type;
    node.domain = use.domain;
    node.version = use.version;
    node.attributes = use.attributes;
    for (size_t i = 0; i < present.size(); ++i) node.inputs.push_back(present[i] ? graph.add_value("x" + std::to_string(i)) : kNone);
    for (size_t i = 0; i < use.outputs; ++i) node.outputs.push_back(graph.add_value("y" + std::to_string(i)));
    id = graph.add_node(std::move(node));
    op = find_op(graph.node(id));
    check(op != nullptr, "a registered operator: " + use.op_type);
  }
};

/// What `infer` finds for each output. Throws what it throws.
inline std::vector<Fact> infer_op(const OpUse& use, const std::vector<Fact>& inputs) {
  std::vector<bool> present;
  std::vector<const Fact*> facts;
  for (const Fact& f : inputs) {
    present.push_back(f.type.kind != Type::Kind::unknown);
    facts.push_back(present.back() ? &f : nullptr);
  }
  const OpHarness harness(use, present);
  InferContext context(harness.graph, harness.id, facts);
  harness.op->infer(context);
  return context.outputs();
}

/// The type of output 0 as text: "float[n,3,32]".
inline std::string inferred(const OpUse& use, const std::vector<Type>& inputs) {
  std::vector<Fact> facts;
  for (const Type& type : inputs) facts.push_back(fact(type));
  return infer_op(use, facts)[0].type.str();
}

/// Runs the op on tensors (an undefined tensor is an omitted input) after `infer` has checked them, and expects of each
/// output the type that `infer` promised.
inline std::vector<Tensor> run_op(const OpUse& use, const std::vector<Tensor>& inputs) {
  std::vector<bool> present;
  std::vector<Fact> facts;
  std::vector<const Fact*> fact_pointers;
  std::vector<const Tensor*> tensors;
  facts.reserve(inputs.size());
  for (const Tensor& t : inputs) {
    present.push_back(t.defined());
    facts.push_back(t.defined() ? fact(t) : omitted());
    fact_pointers.push_back(t.defined() ? &facts.back() : nullptr);
    tensors.push_back(t.defined() ? &t : nullptr);
  }
  const OpHarness harness(use, present);
  InferContext context(harness.graph, harness.id, fact_pointers);
  harness.op->infer(context);
  EvaluateContext run(harness.graph.node(harness.id), tensors);
  harness.op->evaluate(run);
  for (size_t i = 0; i < use.outputs; ++i) {
    const Tensor& y = run.outputs()[i];
    EXPECT_EQ(context.outputs()[i].type.str(), Type::tensor(y.type(), y.dims()).str()) << use.op_type << " output " << i;
  }
  return run.outputs();
}

inline Cost cost_of(const OpUse& use, const std::vector<Type>& inputs) {
  const std::vector<bool> present(inputs.size(), true);
  std::vector<Fact> facts;
  for (const Type& type : inputs) facts.push_back(fact(type));
  std::vector<const Fact*> pointers;
  for (const Fact& f : facts) pointers.push_back(&f);
  const OpHarness harness(use, present);
  InferContext context(harness.graph, harness.id, pointers);
  harness.op->infer(context);
  return harness.op->cost(context);
}

/// Same shape, and each number within `tolerance` of the expected one.
inline void expect_near(const Tensor& actual, const Tensor& expected, double tolerance = 1e-6) {
  ASSERT_EQ(actual.type(), expected.type());
  ASSERT_EQ(actual.dims(), expected.dims());
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], e[i], tolerance) << "element " << i;
}

}  // namespace espalier::testing
