#include "tests/lib/onnx_io/hostile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <span>

#include "lib/base/error.h"
#include "lib/onnx_io/load.h"

namespace espalier::testing {

namespace fs = std::filesystem;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::NodeProto;
using onnx::TensorProto;

NodeProto* add_node(GraphProto& graph, const std::string& op, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs) {
  NodeProto* node = graph.add_node();
  node->set_op_type(op);
  node->set_name("n" + std::to_string(graph.node_size()));
  for (const auto& name : inputs) node->add_input(name);
  for (const auto& name : outputs) node->add_output(name);
  return node;
}

AttributeProto* add_attribute(NodeProto& node, const std::string& name, AttributeProto::AttributeType type) {
  AttributeProto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

ModelProto sound() {
  ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  GraphProto& graph = *model.mutable_graph();
  graph.set_name("g");
  graph.add_input()->set_name("x");
  graph.add_output()->set_name("y");
  add_node(graph, "Relu", {"x"}, {"y"});
  return model;
}

TensorProto tensor(TensorProto::DataType type, const std::vector<int64_t>& dims, size_t raw_bytes) {
  TensorProto t;
  t.set_name("w");
  t.set_data_type(type);
  for (const int64_t d : dims) t.add_dims(d);
  t.set_raw_data(std::string(raw_bytes, '\0'));
  return t;
}

ModelProto with_initializer(const TensorProto& t) {
  ModelProto model = sound();
  *model.mutable_graph()->add_initializer() = t;
  return model;
}

Model parse(const std::string& bytes, const fs::path& folder) {
  return parse_model(std::as_bytes(std::span(bytes)), folder);
}

std::string refusal(const std::string& bytes, const fs::path& folder) {
  const auto start = std::chrono::steady_clock::now();
  std::string message = "accepted";
  try {
    parse(bytes, folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_data) << error.what();
    message = error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1)) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

std::string refusal(const ModelProto& model, const fs::path& folder) {
  return refusal(model.SerializeAsString(), folder);
}

}  // namespace espalier::testing
