#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier::testing {

onnx::NodeProto* add_node(onnx::GraphProto& graph, const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs);
onnx::AttributeProto* add_attribute(onnx::NodeProto& node, const std::string& name,
                                    onnx::AttributeProto::AttributeType type);

/// x -> Relu -> y, all well.
onnx::ModelProto sound();
/// A tensor "w" of as many zero bytes as given, whatever its dims need.
onnx::TensorProto tensor(onnx::TensorProto::DataType type, const std::vector<int64_t>& dims, size_t raw_bytes);
onnx::ModelProto with_initializer(const onnx::TensorProto& t);

Model parse(const std::string& bytes, const std::filesystem::path& folder = ".");
/// The message with which the file is refused, or "accepted". Expects bad data, one line, and less than a second.
std::string refusal(const std::string& bytes, const std::filesystem::path& folder = ".");
std::string refusal(const onnx::ModelProto& model, const std::filesystem::path& folder = ".");

}  // namespace espalier::testing
