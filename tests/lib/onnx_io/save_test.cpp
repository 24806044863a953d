#include "lib/onnx_io/save.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <fstream>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using google::protobuf::util::MessageDifferencer;
using testing::TemporaryFolder;

constexpr const char* kNet = R"(graph net (x: float[n,3]) -> (y: float[n,2]) opset 13 {
  w: float[3,2] = {1, 2, 3, 4, 5, 6}
  k: int64[2] = {-1, 2}
  h: float[n,2]
  "fc": h = MatMul(x, w)
  "shape": y = Reshape(h, k)
})";

onnx::ModelProto message(const std::string& bytes) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  return proto;
}

Model parse(const std::string& bytes) { return parse_model(std::as_bytes(std::span(bytes)), "."); }

/// A message with everything that a Model does not spell out.
onnx::ModelProto rich() {
  onnx::ModelProto proto = message(serialize_model(make_model(parse_graph(kNet))));
  proto.set_doc_string("about");
  proto.set_domain("");  // present, though empty
  proto.mutable_opset_import(0)->set_domain("ai.onnx");
  auto* entry = proto.add_metadata_props();
  entry->set_key("key");
  entry->set_value("value");
  auto& graph = *proto.mutable_graph();
  graph.set_doc_string("graph doc");
  graph.mutable_node(0)->set_doc_string("node doc");
  graph.mutable_node(0)->set_domain("ai.onnx");
  graph.mutable_node(1)->set_domain("");
  auto* zero = graph.mutable_node(1)->add_attribute();
  zero->set_name("allowzero");
  zero->set_type(onnx::AttributeProto::INT);  // 0 by leaving it out
  zero->set_doc_string("attribute doc");
  graph.mutable_input(0)->set_doc_string("input doc");
  graph.mutable_input(0)->mutable_type()->set_denotation("IMAGE");
  graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_denotation("N");
  auto* stray = graph.add_value_info();
  stray->set_name("names nothing");
  auto* twice = graph.add_value_info();  // the output's type again, said otherwise
  twice->set_name("y");
  twice->mutable_type()->mutable_tensor_type()->set_elem_type(1);
  auto& w = *graph.mutable_initializer(0);
  w.clear_raw_data();
  for (int i = 1; i <= 6; ++i) w.add_float_data(static_cast<float>(i));
  w.set_doc_string("weight doc");
  auto* annotation = graph.add_quantization_annotation();
  annotation->set_tensor_name("w");
  proto.mutable_unknown_fields()->AddLengthDelimited(100)->assign("from the future");
  graph.mutable_unknown_fields()->AddVarint(101, 7);
  graph.mutable_node(0)->mutable_unknown_fields()->AddVarint(102, 8);
  graph.mutable_node(1)->mutable_attribute(0)->mutable_unknown_fields()->AddVarint(103, 9);
  w.mutable_unknown_fields()->AddVarint(104, 10);
  graph.mutable_input(0)->mutable_unknown_fields()->AddVarint(105, 11);
  auto* function = proto.add_functions();
  function->set_name("f");
  function->set_domain("d");
  // `overload` of IR 10, which older protobuf classes do not know.
  function->mutable_unknown_fields()->AddLengthDelimited(13)->assign("int8");
  graph.mutable_node(1)->mutable_unknown_fields()->AddLengthDelimited(8)->assign("int8");
  return message(proto.SerializeAsString());  // newer ones hold it as a field
}

std::string differences(const onnx::ModelProto& a, const onnx::ModelProto& b) {
  std::string text;
  MessageDifferencer differ;
  differ.ReportDifferencesToString(&text);
  return differ.Compare(a, b) ? "" : text;
}

TEST(Save, UntouchedIsEqualInEveryDetail) {
  const onnx::ModelProto before = rich();
  EXPECT_EQ(differences(before, message(serialize_model(parse(before.SerializeAsString())))), "");
}

TEST(Save, WritesAReplacedWeightAsRawDataAndNothingElse) {
  onnx::ModelProto expected = rich();
  Model model = parse(expected.SerializeAsString());
  Graph& g = model.graph;
  g.set_initializer(g.find_value("w"), Tensor::of<float>({3, 1}, {7, 8, 9}));
  const onnx::ModelProto got = message(serialize_model(model));
  auto& w = *expected.mutable_graph()->mutable_initializer(0);
  const std::vector<float> values = {7, 8, 9};
  w.Clear();
  w.set_name("w");
  w.set_data_type(1);
  w.add_dims(3);
  w.add_dims(1);
  w.set_raw_data(values.data(), 12);
  EXPECT_EQ(differences(expected, got), "");
}

TEST(Save, KeepsTheFormOfAWeightThatChangesItsValuesOnly) {
  onnx::ModelProto expected = rich();
  Model model = parse(expected.SerializeAsString());
  model.graph.set_initializer(model.graph.find_value("w"), Tensor::of<float>({3, 2}, {7, 2, 3, 4, 5, 6}));
  expected.mutable_graph()->mutable_initializer(0)->set_float_data(0, 7);
  EXPECT_EQ(differences(expected, message(serialize_model(model))), "");
}

TEST(Save, ChangesOnlyTheAttributeThatChanged) {
  onnx::ModelProto expected = rich();
  Model model = parse(expected.SerializeAsString());
  Graph& g = model.graph;
  g.set_attribute(g.nodes()[1], "extra", std::vector<int64_t>{1, 2});
  auto* added = expected.mutable_graph()->mutable_node(1)->add_attribute();
  added->set_name("extra");
  added->set_type(onnx::AttributeProto::INTS);
  added->add_ints(1);
  added->add_ints(2);
  EXPECT_EQ(differences(expected, message(serialize_model(model))), "");
}

TEST(Save, ATypeThatChangedKeepsItsDenotations) {
  onnx::ModelProto expected = rich();
  Model model = parse(expected.SerializeAsString());
  Graph& g = model.graph;
  g.value(g.inputs[0]).type = Type::tensor(DataType::float32, {Dim(4), Dim(3)});
  expected.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(4);
  EXPECT_EQ(differences(expected, message(serialize_model(model))), "");
}

TEST(Save, DropsDeclarationsOfValuesThatAreGone) {
  Model model = parse(rich().SerializeAsString());
  Graph& g = model.graph;
  const ValueId h = g.find_value("h"), x = g.find_value("x");
  g.replace_uses(h, x);
  g.erase_node(g.producer(h));
  const onnx::ModelProto got = message(serialize_model(model));
  ASSERT_EQ(got.graph().value_info_size(), 2);
  EXPECT_EQ(got.graph().value_info(0).name(), "names nothing");
  EXPECT_EQ(got.graph().value_info(1).name(), "y");
}

TEST(Save, ARenamedValueTakesItsDeclarationAlong) {
  Model model = parse(rich().SerializeAsString());
  Graph& g = model.graph;
  g.rename_value(g.find_value("h"), "renamed");
  const onnx::ModelProto got = message(serialize_model(model));
  ASSERT_EQ(got.graph().value_info_size(), 3);
  EXPECT_EQ(got.graph().value_info(2).name(), "renamed");
  EXPECT_EQ(got.graph().node(1).input(0), "renamed");
}

TEST(Save, WritesMetadataAndOpsets) {
  Model model = parse(rich().SerializeAsString());
  model.metadata.emplace_back("pipeline", "simplify, fuse");
  model.graph.opsets["far.away"] = 3;
  model.graph.opsets[""] = 14;
  const onnx::ModelProto got = message(serialize_model(model));
  ASSERT_EQ(got.metadata_props_size(), 2);
  EXPECT_EQ(got.metadata_props(1).value(), "simplify, fuse");
  ASSERT_EQ(got.opset_import_size(), 2);
  EXPECT_EQ(got.opset_import(0).domain(), "ai.onnx");
  EXPECT_EQ(got.opset_import(0).version(), 14);
  EXPECT_EQ(got.opset_import(1).domain(), "far.away");
}

TEST(Save, LibonnxAcceptsWhatWeMake) {
  const onnx::ModelProto proto = message(serialize_model(make_model(parse_graph(kNet))));
  EXPECT_NO_THROW(onnx::checker::check_model(proto));
}

TEST(Save, RefusesOurInternalOperators) {
  const Model model = make_model(parse_graph("graph (x) -> (y) { y = ai.espalier::ConvGradInput@1(x) }"));
  EXPECT_THROW(serialize_model(model), Error);
}

TEST(Save, KeepsEveryElementTypeInEitherForm) {
  for (int i = 1; i <= static_cast<int>(DataType::float4e2m1); ++i) {
    const auto type = static_cast<DataType>(i);
    Tensor t(type, {3});
    if (type == DataType::string) {
      t = Tensor::of_strings({3}, {"a", "", "c"});
    } else {
      const auto bytes = t.mutable_bytes();
      for (size_t b = 0; b < bytes.size(); ++b) bytes[b] = static_cast<std::byte>(type == DataType::boolean ? b % 2 : 0x91 + 7 * b);
      if (bit_width(type) == 4) bytes[1] &= std::byte{0x0f};
    }
    for (const char form : {'R', 'T'}) {
      SCOPED_TRACE(std::string(name(type)) + " " + form);
      Graph g = parse_graph("graph (x) -> (y) { y = Relu(x) }");
      g.set_initializer(g.add_value("w"), Initializer{t, std::string(1, form)});
      const std::string bytes = serialize_model(make_model(g));
      const bool raw = message(bytes).graph().initializer(0).has_raw_data();
      EXPECT_EQ(raw, form == 'R' && type != DataType::string);
      const Model again = parse(bytes);
      EXPECT_TRUE(*again.graph.initializer(again.graph.find_value("w")) == t);
      EXPECT_EQ(serialize_model(again), bytes);
    }
  }
}

// External data.

Model with_weights() {
  return make_model(parse_graph(R"(graph (x) -> (y) {
    small: float[1] = 1
    big: float[64,32] = fill(1)
    bigger: float[1024,512] = fill(2)
    c = Constant() {value = float[512] fill(3)}
    y = Sum(x, small, big, bigger, c)
  })"));
}

TEST(SaveExternal, PutsLargeTensorsBesideTheFileWhenAsked) {
  const TemporaryFolder folder;
  const Model model = with_weights();
  save_model(model, folder / "m.onnx", {ExternalData::always});
  EXPECT_LT(fs::file_size(folder / "m.onnx"), 2000u);
  const Model again = load_model(folder / "m.onnx");
  EXPECT_TRUE(same_graph(model.graph, again.graph));
  const onnx::ModelProto proto = message(read_file(folder / "m.onnx", 10000));
  EXPECT_TRUE(proto.graph().initializer(0).has_raw_data());
  EXPECT_EQ(proto.graph().initializer(2).external_data(1).key(), "offset");
  EXPECT_EQ(std::stoll(proto.graph().initializer(2).external_data(1).value()) % 4096, 0);
  save_model(again, folder / "m.onnx");  // over itself: still outside, the same bytes
  EXPECT_TRUE(same_graph(model.graph, load_model(folder / "m.onnx").graph));
  EXPECT_EQ(differences(proto, message(read_file(folder / "m.onnx", 10000))), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
}

TEST(SaveExternal, IsWrittenByItselfWhereTheFileWouldPassItsLimit) {
  const TemporaryFolder folder;
  const fs::path path = folder / "big.onnx";
  Model model = parse(rich().SerializeAsString());
  const Tensor weight = Tensor(DataType::float32, {3, 1000});
  model.graph.set_initializer(model.graph.find_value("w"), weight);
  const int64_t structure = int64_t{64} << 20;  // kept free for all that is not tensors
  save_model(model, path, {.message_limit = structure + 13'000});
  EXPECT_FALSE(fs::exists(folder / "big.onnx.data"));
  save_model(model, path, {.message_limit = structure + 11'000});
  EXPECT_EQ(fs::file_size(folder / "big.onnx.data"), 12'000u);
  EXPECT_LT(fs::file_size(path), 2'000u);
  const Model again = load_model(path);
  EXPECT_EQ(*again.graph.initializer(again.graph.find_value("w")), weight);
}

TEST(SaveExternal, LaysOutAnewWhenATensorGrows) {
  const TemporaryFolder folder;
  save_model(with_weights(), folder / "m.onnx", {ExternalData::always});
  Model model = load_model(folder / "m.onnx");
  Graph& g = model.graph;
  Initializer grown{parse_tensor("float[64,64] fill(9)"), g.initializers()[1].second.rest};
  g.set_initializer(g.find_value("big"), grown);
  save_model(model, folder / "m.onnx");
  EXPECT_TRUE(same_graph(g, load_model(folder / "m.onnx").graph));
}

TEST(SaveExternal, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "m.onnx");  // a folder under the name of the output
  EXPECT_THROW(save_model(with_weights(), folder / "m.onnx", {ExternalData::always}), Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(LoadAny, TellsTextFromOnnx) {
  const TemporaryFolder folder;
  const Model model = make_model(parse_graph(kNet));
  write_file(folder / "a.txt", kNet);
  write_file(folder / "b.espalier", kNet);
  write_file(folder / "c.onnx", std::string("# a comment\n\n") + kNet);
  save_model(model, folder / "d.onnx");
  for (const char* name : {"a.txt", "b.espalier", "c.onnx", "d.onnx"}) {
    const Model read = load_any(folder / name);
    EXPECT_TRUE(same_graph(read.graph, model.graph)) << name;
    EXPECT_EQ(read.ir_version, 8);
  }
  write_file(folder / "e.txt", "graph (x) -> (y) { y = Relu(z) }");
  EXPECT_THROW(load_any(folder / "e.txt"), Error);
}

}  // namespace
}  // namespace espalier
