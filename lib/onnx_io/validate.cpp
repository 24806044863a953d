#include "lib/onnx_io/validate.h"

#include <onnx/defs/schema.h>

#include <algorithm>
#include <map>

#include "lib/base/error.h"
#include "lib/onnx_io/tensor_proto.h"

namespace espalier::onnx_io {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int64_t kMaxInlinedNodes = 1'000'000;

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::bad_data, why); }

void check_indices(const onnx::SparseTensorProto& sparse, const Dims& dims, const std::string& where, ExternalFiles& files) {
  onnx::TensorProto copy = sparse.indices();
  Form form;
  const Tensor indices = open_tensor(copy, where + " indices", files, form);
  const auto at = indices.data<int64_t>();
  const bool linear = indices.rank() == 1;
  const int64_t count = element_count(dims);
  for (size_t i = 0; i < at.size(); ++i) {
    const int64_t bound = linear ? count : dims[i % dims.size()];
    if (at[i] < 0 || at[i] >= bound) {
      fail(where + ": index " + std::to_string(at[i]) + " is out of [0, " + std::to_string(bound) + ")");
    }
  }
}

void check_sparse(const onnx::SparseTensorProto& sparse, const std::string& where, ExternalFiles& files) {
  check_tensor(sparse.values(), where + " values", files);
  check_tensor(sparse.indices(), where + " indices", files);
  const Dims dims(sparse.dims().begin(), sparse.dims().end());
  try {
    element_count(dims);
  } catch (const Error& error) {
    fail(where + ": " + error.what());
  }
  const auto& values = sparse.values().dims();
  const auto& indices = sparse.indices().dims();
  const bool linear = indices.size() == 1;
  const bool tuples = indices.size() == 2 && !dims.empty() && indices[1] == static_cast<int64_t>(dims.size());
  if (sparse.indices().data_type() != onnx::TensorProto::INT64 || values.size() != 1 || !(linear || tuples) ||
      indices[0] != values[0]) {
    fail(where + ": indices of a sparse tensor do not fit its values and dims");
  }
  check_indices(sparse, dims, where, files);
}

void check_message(const Message& message, const std::string& where, ExternalFiles& files, int but_field) {
  if (message.GetDescriptor() == onnx::TensorProto::descriptor()) {
    const auto& tensor = static_cast<const onnx::TensorProto&>(message);
    return check_tensor(tensor, where + " tensor '" + tensor.name() + "'", files);
  }
  if (message.GetDescriptor() == onnx::SparseTensorProto::descriptor()) {
    const auto& sparse = static_cast<const onnx::SparseTensorProto&>(message);
    return check_sparse(sparse, where + " sparse tensor '" + sparse.values().name() + "'", files);
  }
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->number() == but_field) continue;
    if (!field->is_repeated()) {
      check_message(reflection->GetMessage(message, field), where, files, 0);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      check_message(reflection->GetRepeatedMessage(message, field, i), where, files, 0);
    }
  }
}

/// The functions of a model and who calls whom.
class Functions {
 public:
  explicit Functions(const onnx::ModelProto& model) {
    for (const auto& f : model.functions()) by_name_[key(f.domain(), f.name())] = {&f, false, -1};
    for (const auto& f : model.functions()) inlined_size(key(f.domain(), f.name()), 0);
    if (!by_name_.empty()) inlined_size(model.graph().node());
  }

 private:
  struct Entry {
    const onnx::FunctionProto* function;
    bool open;     // being visited
    int64_t size;  // nodes after inlining; -1: not known yet
  };

  static std::string key(const std::string& domain, const std::string& name) {
    return (domain == "ai.onnx" ? "" : domain) + "::" + name;
  }

  int64_t inlined_size(const std::string& name, int depth) {
    Entry& entry = by_name_.at(name);
    if (entry.open) fail("function '" + entry.function->name() + "' calls itself");
    if (depth > 1000) fail("function '" + entry.function->name() + "' is nested too deep");
    if (entry.size < 0) {
      entry.open = true;
      entry.size = inlined_size(entry.function->node(), depth);
      entry.open = false;
    }
    return entry.size;
  }

  template <class Nodes>
  int64_t inlined_size(const Nodes& nodes, int depth = 0) {
    int64_t sum = 0;
    for (const onnx::NodeProto& node : nodes) {
      const auto called = by_name_.find(key(node.domain(), node.op_type()));
      if (called != by_name_.end()) {
        require_arity(node, *called->second.function);
        sum += inlined_size(called->first, depth + 1);
      }
      for (const auto& attribute : node.attribute()) {
        if (attribute.has_g()) sum += inlined_size(attribute.g().node(), depth);
        for (const auto& g : attribute.graphs()) sum += inlined_size(g.node(), depth);
      }
      if (++sum > kMaxInlinedNodes) fail("functions grow beyond a million nodes when they are inlined");
    }
    return sum;
  }

  static void require_arity(const onnx::NodeProto& node, const onnx::FunctionProto& function) {
    if (node.input_size() <= function.input_size() && node.output_size() <= function.output_size()) return;
    fail("node '" + node.name() + "' (" + node.op_type() + "): has " + std::to_string(node.input_size()) + " inputs and " +
         std::to_string(node.output_size()) + " outputs, the function takes " + std::to_string(function.input_size()) +
         " and gives " + std::to_string(function.output_size()));
  }

  std::map<std::string, Entry> by_name_;
};

std::string count_text(int low, int high) {
  if (high == std::numeric_limits<int>::max()) return "at least " + std::to_string(low);
  return low == high ? std::to_string(low) : std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace

void check_all_tensors(const Message& message, const std::string& where, ExternalFiles& files, int but_field) {
  check_message(message, where, files, but_field);
}

void check_functions(const onnx::ModelProto& model) { Functions{model}; }

void check_arity(const Node& node) {
  const auto& ranges = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  const auto range = ranges.find(node.domain);
  if (range == ranges.end() || node.version < 1 || node.version > range->second.second) return;
  const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(node.op_type, node.version, node.domain);
  if (!schema || schema->Deprecated()) return;
  const auto inputs = static_cast<int>(node.inputs.size()), outputs = static_cast<int>(node.outputs.size());
  if (inputs < schema->min_input() || inputs > schema->max_input()) {
    fail(node.where() + ": has " + std::to_string(inputs) + " inputs, expected " +
         count_text(schema->min_input(), schema->max_input()));
  }
  if (outputs < schema->min_output() || outputs > schema->max_output()) {
    fail(node.where() + ": has " + std::to_string(outputs) + " outputs, expected " +
         count_text(schema->min_output(), schema->max_output()));
  }
  for (size_t i = 0; i < node.inputs.size() && i < schema->inputs().size(); ++i) {
    const auto& formal = schema->inputs()[i];
    if (node.inputs[i] == kNone && formal.GetOption() == onnx::OpSchema::Single) {
      fail(node.where() + ": input " + std::to_string(i) + " (" + formal.GetName() + ") is missing");
    }
  }
}

}  // namespace espalier::onnx_io
