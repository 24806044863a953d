// One test for each row of what loaders of this field got wrong. Every file is made here, must be refused as bad data, in one
// line, in under a second.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <chrono>
#include <fstream>
#include <functional>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/lib/onnx_io/hostile.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using namespace testing;

TEST(Hostile, TheModelThatAllOthersStartFromIsAccepted) {
  EXPECT_EQ(refusal(sound()), "accepted");
  EXPECT_EQ(refusal(with_initializer(tensor(TensorProto::FLOAT, {2, 3}, 24))), "accepted");
}

// Tensor sizes.

TEST(HostileTensor, NeedsExactlyItsBytes) {
  for (const size_t bytes : {0, 1, 23, 25, 48}) {
    EXPECT_THAT(refusal(with_initializer(tensor(TensorProto::FLOAT, {2, 3}, bytes))),
                HasSubstr("initializer 'w': float[2,3] needs 24 bytes"));
  }
  EXPECT_NE(refusal(with_initializer(tensor(TensorProto::FLOAT, {0}, 4))), "accepted");
  EXPECT_NE(refusal(with_initializer(tensor(TensorProto::FLOAT, {}, 0))), "accepted");
}

TEST(HostileTensor, NeedsExactlyItsEntriesInTheRightTypedField) {
  using Fill = std::function<void(TensorProto&)>;
  const auto typed = [](int type, std::vector<int64_t> dims, const Fill& fill) {
    TensorProto t = tensor(static_cast<TensorProto::DataType>(TensorProto::FLOAT), dims, 0);
    t.set_data_type(type);
    t.clear_raw_data();
    fill(t);
    return refusal(with_initializer(t));
  };
  const Fill floats = [](TensorProto& t) { t.add_float_data(1); };
  const Fill ints = [](TensorProto& t) { t.add_int32_data(1); };
  const Fill longs = [](TensorProto& t) { t.add_int64_data(1); };
  const Fill doubles = [](TensorProto& t) { t.add_double_data(1); };
  const Fill unsigneds = [](TensorProto& t) { t.add_uint64_data(1); };
  const Fill strings = [](TensorProto& t) { t.add_string_data("s"); };
  const std::vector<std::pair<int, Fill>> right = {
      {TensorProto::FLOAT, floats}, {TensorProto::DOUBLE, doubles}, {TensorProto::INT64, longs}, {TensorProto::INT32, ints},
      {TensorProto::INT8, ints}, {TensorProto::UINT8, ints}, {TensorProto::INT16, ints}, {TensorProto::UINT16, ints},
      {TensorProto::BOOL, ints}, {TensorProto::FLOAT16, ints}, {TensorProto::BFLOAT16, ints}, {17, ints}, {21, ints}, {22, ints},
      {TensorProto::UINT32, unsigneds}, {TensorProto::UINT64, unsigneds}, {TensorProto::STRING, strings}};
  for (const auto& [type, fill] : right) {
    SCOPED_TRACE(type);
    EXPECT_EQ(typed(type, {1}, fill), "accepted");
    EXPECT_THAT(typed(type, {3}, fill), HasSubstr("entries"));
    EXPECT_NE(typed(type, {0}, fill), "accepted");
    EXPECT_THAT(typed(type, {1}, [](TensorProto&) {}), HasSubstr("its typed field has 0"));
    EXPECT_THAT(typed(type, {1099511627776}, fill), HasSubstr("entries"));
  }
  EXPECT_NE(typed(TensorProto::COMPLEX64, {1}, floats), "accepted");
  EXPECT_NE(typed(TensorProto::FLOAT, {1}, doubles), "accepted");
  EXPECT_NE(typed(TensorProto::INT64, {1}, ints), "accepted");
  EXPECT_THAT(typed(TensorProto::INT8, {1}, [](TensorProto& t) { t.add_int32_data(300); }), HasSubstr("out of range"));
  EXPECT_THAT(typed(TensorProto::BOOL, {1}, [](TensorProto& t) { t.add_int32_data(2); }), HasSubstr("out of range"));
  EXPECT_THAT(typed(TensorProto::UINT32, {1}, [](TensorProto& t) { t.add_uint64_data(1ull << 40); }), HasSubstr("out of range"));
  EXPECT_NE(typed(TensorProto::FLOAT, {1}, [&](TensorProto& t) { floats(t), t.set_raw_data("1234"); }), "accepted");
}

TEST(HostileTensor, PacksFourBitsTwoToAByte) {
  for (const int type : {21, 22, 23}) {
    TensorProto t = tensor(TensorProto::FLOAT, {5}, 3);
    t.set_data_type(type);
    EXPECT_EQ(refusal(with_initializer(t)), "accepted");
    for (const size_t bytes : {2, 4, 5}) {
      t.set_raw_data(std::string(bytes, '\0'));
      EXPECT_THAT(refusal(with_initializer(t)), HasSubstr("needs 3 bytes"));
    }
  }
}

TEST(HostileTensor, HasAShapeThatCanBe) {
  const auto shaped = [](const std::vector<int64_t>& dims) {
    return refusal(with_initializer(tensor(TensorProto::FLOAT, dims, 4)));
  };
  EXPECT_THAT(shaped({1099511627776}), HasSubstr("needs 4398046511104 bytes"));
  EXPECT_NE(shaped({65536, 32768}), "accepted");
  EXPECT_NE(shaped({65536, 65536}), "accepted");
  EXPECT_THAT(shaped({4294967296, 4294967296}), HasSubstr("overflows"));
  EXPECT_THAT(shaped({4294967296, 4294967296, 0}), HasSubstr("overflows"));
  EXPECT_THAT(shaped({4611686018427387905}), HasSubstr("overflows"));
  EXPECT_THAT(shaped({-1}), HasSubstr("negative"));
  EXPECT_THAT(shaped({-1, -1}), HasSubstr("negative"));
  EXPECT_THAT(shaped(std::vector<int64_t>(65, 1)), HasSubstr("rank is 65"));
  EXPECT_THAT(shaped(std::vector<int64_t>(100000, 1)), HasSubstr("rank"));
  EXPECT_EQ(shaped(std::vector<int64_t>(64, 1)), "accepted");
}

TEST(HostileTensor, HasATypeThatIsKnown) {
  for (const int type : {0, 27, 1000, -5}) {
    TensorProto t = tensor(TensorProto::FLOAT, {1}, 4);
    t.set_data_type(type);
    EXPECT_THAT(refusal(with_initializer(t)), HasSubstr("is not known"));
  }
  EXPECT_THAT(refusal(with_initializer(tensor(TensorProto::STRING, {1}, 4))), HasSubstr("strings cannot be raw"));
  TensorProto odd = tensor(TensorProto::BOOL, {2}, 2);
  odd.set_raw_data("\1\2");
  EXPECT_THAT(refusal(with_initializer(odd)), HasSubstr("bool element is 2"));
  TensorProto cut = tensor(TensorProto::FLOAT, {1}, 4);
  cut.mutable_segment()->set_end(1);
  EXPECT_THAT(refusal(with_initializer(cut)), HasSubstr("segments"));
}

// Every tensor goes the same way, wherever it sits.

const TensorProto kBad = tensor(TensorProto::INT64, {3}, 7);

TEST(HostileTensor, IsFoundInAttributes) {
  const auto in_attribute = [](AttributeProto::AttributeType type, const std::function<void(AttributeProto&)>& fill) {
    ModelProto model = sound();
    NodeProto* node = add_node(*model.mutable_graph(), "Anything", {"y"}, {"z"});
    node->set_domain("far.away");
    fill(*add_attribute(*node, "a", type));
    return refusal(model);
  };
  EXPECT_THAT(in_attribute(AttributeProto::TENSOR, [](AttributeProto& a) { *a.mutable_t() = kBad; }),
              HasSubstr("node 'n2' (Anything): attribute 'a'"));
  EXPECT_NE(in_attribute(AttributeProto::TENSORS, [](AttributeProto& a) { *a.add_tensors() = kBad; }), "accepted");
  EXPECT_NE(in_attribute(AttributeProto::GRAPH, [](AttributeProto& a) { *a.mutable_g()->add_initializer() = kBad; }),
            "accepted");
  EXPECT_NE(in_attribute(AttributeProto::GRAPHS, [](AttributeProto& a) { *a.add_graphs()->add_initializer() = kBad; }),
            "accepted");
  EXPECT_NE(in_attribute(AttributeProto::INT, [](AttributeProto& a) { *a.mutable_t() = kBad; }), "accepted");
  EXPECT_NE(in_attribute(AttributeProto::INT, [](AttributeProto& a) { *a.mutable_g()->add_initializer() = kBad; }), "accepted");
  EXPECT_NE(in_attribute(AttributeProto::SPARSE_TENSOR,
                         [](AttributeProto& a) { *a.mutable_sparse_tensor()->mutable_values() = kBad; }),
            "accepted");
  EXPECT_THAT(in_attribute(AttributeProto::TENSOR, [](AttributeProto&) {}), HasSubstr("no value"));
  EXPECT_THAT(in_attribute(AttributeProto::GRAPH, [](AttributeProto&) {}), HasSubstr("no value"));
}

TEST(HostileTensor, IsFoundInFunctionsAndTrainingInfo) {
  ModelProto model = sound();
  auto* function = model.add_functions();
  function->set_name("f");
  function->set_domain("d");
  NodeProto* node = function->add_node();
  node->set_op_type("Constant");
  node->add_output("c");
  *add_attribute(*node, "value", AttributeProto::TENSOR)->mutable_t() = kBad;
  EXPECT_THAT(refusal(model), HasSubstr("function 'f'"));

  model = sound();
  *model.add_training_info()->mutable_initialization()->add_initializer() = kBad;
  EXPECT_NE(refusal(model), "accepted");
}

TEST(HostileTensor, SparseHasValuesAndIndicesThatFit) {
  const auto sparse = [](const TensorProto& values, std::vector<int64_t> index_dims, std::vector<int64_t> indices,
                         std::vector<int64_t> dims) {
    ModelProto model = sound();
    auto* s = model.mutable_graph()->add_sparse_initializer();
    *s->mutable_values() = values;
    s->mutable_indices()->set_data_type(TensorProto::INT64);
    for (const int64_t d : index_dims) s->mutable_indices()->add_dims(d);
    for (const int64_t i : indices) s->mutable_indices()->add_int64_data(i);
    for (const int64_t d : dims) s->add_dims(d);
    return refusal(model);
  };
  const TensorProto two = tensor(TensorProto::FLOAT, {2}, 8);
  EXPECT_EQ(sparse(two, {2}, {0, 5}, {2, 3}), "accepted");
  EXPECT_EQ(sparse(two, {2, 2}, {0, 0, 1, 2}, {2, 3}), "accepted");
  EXPECT_NE(sparse(tensor(TensorProto::FLOAT, {2}, 7), {2}, {0, 5}, {2, 3}), "accepted");
  EXPECT_NE(sparse(two, {3}, {0, 5}, {2, 3}), "accepted");
  EXPECT_NE(sparse(two, {3}, {0, 5, 1}, {2, 3}), "accepted");
  EXPECT_THAT(sparse(two, {2}, {0, 6}, {2, 3}), HasSubstr("index 6 is out of [0, 6)"));
  EXPECT_THAT(sparse(two, {2, 2}, {0, 0, 2, 0}, {2, 3}), HasSubstr("index 2 is out of [0, 2)"));
  EXPECT_NE(sparse(two, {2}, {0, -1}, {2, 3}), "accepted");
  EXPECT_NE(sparse(two, {2}, {0, 1}, {4294967296, 4294967296}), "accepted");
  EXPECT_NE(sparse(two, {2}, {0, 1}, {-2}), "accepted");
}

// The graph.

TEST(HostileGraph, MakesWhatItUsesOnce) {
  const auto changed = [](const std::function<void(ModelProto&, GraphProto&)>& change) {
    ModelProto model = sound();
    change(model, *model.mutable_graph());
    return refusal(model);
  };
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { g.add_output()->set_name("z"); }), HasSubstr("graph output 'z'"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { g.add_output(); }), HasSubstr("graph output ''"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { add_node(g, "Relu", {"q"}, {"z"}); }),
              HasSubstr("node 'n2' (Relu): input 'q' is made by no node"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { add_node(g, "Relu", {"x"}, {"y"}); }), HasSubstr("'y' is made twice"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { add_node(g, "Relu", {"x"}, {"x"}); }), HasSubstr("second time"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { g.add_input()->set_name("x"); }), HasSubstr("second time"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { g.add_input(); }), HasSubstr("no name"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) {
                *g.add_initializer() = tensor(TensorProto::FLOAT, {1}, 4);
                *g.add_initializer() = tensor(TensorProto::FLOAT, {1}, 4);
              }),
              HasSubstr("initializer 'w' is made a second time"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) {
                add_node(g, "Relu", {"b"}, {"a"});
                add_node(g, "Relu", {"a"}, {"b"});
              }),
              HasSubstr("cycle"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { add_node(g, "Relu", {"a"}, {"a"}); }), HasSubstr("cycle"));
  EXPECT_THAT(changed([](ModelProto& m, GraphProto&) { m.clear_graph(); }), HasSubstr("no graph"));
  EXPECT_THAT(changed([](ModelProto&, GraphProto& g) { add_node(g, "", {"x"}, {"z"}); }), HasSubstr("no operator"));
  EXPECT_EQ(changed([](ModelProto&, GraphProto& g) { g.add_output()->set_name("y"); }), "accepted");  // in the zoo
}

TEST(HostileGraph, HasTheInputsThatOperatorsNeed) {
  const auto node = [](const std::string& op, const std::vector<std::string>& inputs) {
    ModelProto model = sound();
    add_node(*model.mutable_graph(), op, inputs, {"z"});
    return refusal(model);
  };
  EXPECT_THAT(node("Conv", {"x"}), HasSubstr("node 'n2' (Conv): has 1 inputs, expected 2 to 3"));
  EXPECT_THAT(node("Conv", {"x", ""}), HasSubstr("input 1 (W) is missing"));
  EXPECT_THAT(node("Relu", {}), HasSubstr("has 0 inputs"));
  EXPECT_THAT(node("Relu", {"x", "x"}), HasSubstr("has 2 inputs"));
  EXPECT_EQ(node("Clip", {"x", "", "x"}), "accepted");
  EXPECT_EQ(node("NoSuchOperator", {}), "accepted");
}

TEST(HostileGraph, SortsNodesThatAreOutOfOrder) {
  ModelProto model = sound();
  GraphProto& g = *model.mutable_graph();
  g.clear_node();
  add_node(g, "Neg", {"b"}, {"y"});
  add_node(g, "Abs", {"x"}, {"c"});
  add_node(g, "Relu", {"x"}, {"b"});
  const Model read = parse(model.SerializeAsString());
  std::string order;
  for (const NodeId id : read.graph.nodes()) order += read.graph.node(id).op_type + " ";
  EXPECT_EQ(order, "Abs Relu Neg ");
}

GraphProto branch(const std::string& input, const std::string& output) {
  GraphProto g;
  g.set_name("branch");
  add_node(g, "Relu", {input}, {output});
  g.add_output()->set_name(output);
  return g;
}

TEST(HostileGraph, BodiesShadowNothing) {
  const auto with_branch = [](const GraphProto& body) {
    ModelProto model = sound();
    NodeProto* node = add_node(*model.mutable_graph(), "If", {"x"}, {"z"});
    *add_attribute(*node, "then_branch", AttributeProto::GRAPH)->mutable_g() = body;
    *add_attribute(*node, "else_branch", AttributeProto::GRAPH)->mutable_g() = branch("y", "e");
    return refusal(model);
  };
  EXPECT_EQ(with_branch(branch("y", "t")), "accepted");
  EXPECT_EQ(with_branch(branch("y", "z")), "accepted");  // the If's own output is not yet there
  EXPECT_THAT(with_branch(branch("x", "y")), HasSubstr("shadows"));
  EXPECT_NE(with_branch(branch("q", "t")), "accepted");
  GraphProto with_input = branch("y", "t");
  with_input.add_input()->set_name("x");
  EXPECT_THAT(with_branch(with_input), HasSubstr("graph input 'x' shadows"));
  GraphProto with_constant = branch("y", "t");
  *with_constant.add_initializer() = tensor(TensorProto::FLOAT, {1}, 4);
  with_constant.mutable_initializer(0)->set_name("y");
  EXPECT_THAT(with_branch(with_constant), HasSubstr("initializer 'y' shadows"));
}

TEST(HostileGraph, KeepsMessagesToOneLine) {
  ModelProto model = sound();
  add_node(*model.mutable_graph(), "Relu", {"q"}, {"z"})->set_name("two\nlines\x1b[31m" + std::string(100000, 'a'));
  EXPECT_LT(refusal(model).size(), 1100u);
}

TEST(HostileGraph, HasOpsetsThatCanBe) {
  ModelProto model = sound();
  model.mutable_opset_import(0)->set_version(1000000);
  EXPECT_EQ(refusal(model), "accepted");  // known semantics only; opaque otherwise
  model.mutable_opset_import(0)->set_version(-1);
  EXPECT_THAT(refusal(model), HasSubstr("opset"));
  model = sound();
  model.add_opset_import()->set_version(9);
  EXPECT_THAT(refusal(model), HasSubstr("two versions"));
  model = sound();
  add_node(*model.mutable_graph(), "X", {"x"}, {"z"})->set_domain("ai.espalier");
  EXPECT_THAT(refusal(model), HasSubstr("not for files"));
}

// Functions.

class HostileFunction : public ::testing::Test {
 protected:
  // Function `name` calls each of `calls`.
  void add(const std::string& name, const std::vector<std::string>& calls) {
    auto* function = model_.add_functions();
    function->set_name(name);
    function->set_domain("d");
    function->add_input("a");
    function->add_output("a" + std::to_string(calls.size()));
    for (size_t i = 0; i < calls.size(); ++i) {
      NodeProto* node = function->add_node();
      node->set_op_type(calls[i]);
      node->set_domain("d");
      node->add_input(i == 0 ? "a" : "a" + std::to_string(i));
      node->add_output("a" + std::to_string(i + 1));
    }
  }
  ModelProto model_ = sound();
};

TEST_F(HostileFunction, AcceptsWhatIsSound) {
  add("f", {"g", "g"});
  add("g", {"nothing"});
  EXPECT_EQ(refusal(model_), "accepted");
}

TEST_F(HostileFunction, DoesNotCallItself) {
  add("f", {"f"});
  EXPECT_THAT(refusal(model_), HasSubstr("function 'f' calls itself"));
}

TEST_F(HostileFunction, DoesNotCallItselfInARing) {
  add("f", {"g"});
  add("g", {"h"});
  add("h", {"f"});
  EXPECT_THAT(refusal(model_), HasSubstr("calls itself"));
}

TEST_F(HostileFunction, DoesNotGrowWithoutBound) {
  add("f0", {"nothing"});
  for (int i = 1; i < 60; ++i) add("f" + std::to_string(i), {"f" + std::to_string(i - 1), "f" + std::to_string(i - 1)});
  EXPECT_THAT(refusal(model_), HasSubstr("grow"));
}

TEST_F(HostileFunction, IsNotEndlesslyDeep) {
  add("f0", {"nothing"});
  for (int i = 1; i < 20000; ++i) add("f" + std::to_string(i), {"f" + std::to_string(i - 1)});
  std::reverse(model_.mutable_functions()->begin(), model_.mutable_functions()->end());
  EXPECT_THAT(refusal(model_), HasSubstr("too deep"));
}

TEST_F(HostileFunction, IsCalledWithWhatItTakes) {
  add("f", {"nothing"});
  add_node(*model_.mutable_graph(), "f", {"x", "x"}, {"z"})->set_domain("d");
  EXPECT_THAT(refusal(model_), HasSubstr("the function takes 1"));
}

TEST_F(HostileFunction, HasASoundBody) {
  add("f", {"nothing"});
  model_.mutable_functions(0)->mutable_node(0)->set_input(0, "q");
  EXPECT_THAT(refusal(model_), HasSubstr("function 'f': node (nothing): input 'q' is made by no node"));
}

// Nesting.

std::string varint(size_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string field(int number, const std::string& content) {
  return varint(static_cast<size_t>(number) << 3 | 2) + varint(content.size()) + content;
}

// If in If in If ... by hand: protobuf itself would not write or read the deep ones.
std::string nested_ifs(int depth) {
  std::string graph = field(2, "g");
  for (int i = 0; i < depth; ++i) {
    const std::string attribute = field(1, "then_branch") + field(6, graph) + std::string("\xa0\x01\x05", 3);
    graph = field(1, field(1, "c") + field(4, "Something") + field(5, attribute) + field(7, "far.away")) + field(2, "g");
  }
  graph += field(11, field(1, "c"));
  return field(7, graph);
}

TEST(HostileNesting, IsSaidToBeTooDeep) {
  EXPECT_THAT(refusal(nested_ifs(33)), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal(nested_ifs(150)), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal(nested_ifs(5000)), HasSubstr("nested too deep"));
}

TEST(HostileNesting, UpToTheLimitIsFine) {
  for (const int depth : {1, 5, 32}) {
    std::string bytes = nested_ifs(depth);
    // The innermost bodies read `c` of the outermost graph.
    EXPECT_EQ(refusal(bytes), "accepted") << depth;
  }
}

TEST(HostileNesting, OfTypesIsBoundedToo) {
  std::string type;
  for (int i = 0; i < 3000; ++i) type = field(4, field(1, type));  // sequence(sequence(...))
  const std::string input = field(11, field(1, "x") + field(2, type));
  EXPECT_THAT(refusal(field(7, field(2, "g") + input)), HasSubstr("nested too deep"));
}

// Files that are no models.

TEST(HostileFile, TruncatedAnywhereIsRefused) {
  ModelProto model = with_initializer(tensor(TensorProto::FLOAT, {2, 3}, 24));
  const std::string bytes = model.SerializeAsString();
  size_t accepted = 0;
  for (size_t n = 0; n < bytes.size(); ++n) accepted += refusal(bytes.substr(0, n)) == "accepted";
  EXPECT_LE(accepted, 1u);  // cut between the graph and the last field of the model
}

TEST(HostileFile, GarbageIsRefused) {
  EXPECT_NE(refusal(std::string()), "accepted");
  EXPECT_NE(refusal(std::string("this is not a model\n")), "accepted");
  EXPECT_NE(refusal(std::string(1000, '\0')), "accepted");
  EXPECT_NE(refusal(std::string(1000, '\xff')), "accepted");
  EXPECT_NE(refusal(std::string("\x3b\x3b\x3c\x3c", 4)), "accepted");  // groups
}

TEST(HostileFile, ManyEmptyPartsTakeNoMemory) {
  std::string graph;
  for (int i = 0; i < 4'000'000; ++i) graph += std::string("\x0a\x00", 2);  // a node of no bytes
  EXPECT_THAT(refusal(field(7, graph)), AnyOf(HasSubstr("more parts than its size warrants"), HasSubstr("no operator")));
}

TEST(HostileFile, TheTwoThatCrashLibonnx) {
  ModelProto shape = sound();
  *shape.mutable_graph()->add_initializer() = kBad;
  add_node(*shape.mutable_graph(), "Reshape", {"x", "w"}, {"z"});
  EXPECT_THAT(refusal(shape), HasSubstr("int64[3] needs 24 bytes, raw_data has 7"));

  ModelProto function = sound();
  auto* f = function.add_functions();
  f->set_name("f");
  f->set_domain("d");
  f->add_output("o");
  NodeProto* call = f->add_node();
  call->set_op_type("f");
  call->set_domain("d");
  call->add_output("o");
  add_node(*function.mutable_graph(), "f", {}, {"z"})->set_domain("d");
  EXPECT_THAT(refusal(function), HasSubstr("calls itself"));
}

}  // namespace
}  // namespace espalier
