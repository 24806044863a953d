#include "lib/onnx_io/load.h"

#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>

#include <limits>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/read_graph.h"
#include "lib/onnx_io/tensor_proto.h"
#include "lib/onnx_io/validate.h"
#include "lib/onnx_io/wire.h"

namespace espalier {
namespace {

using namespace onnx_io;

constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::bad_data, why); }

template <class Proto>
Proto parse_message(std::span<const std::byte> bytes) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw Error(ErrorKind::bad_data, "file has " + std::to_string(bytes.size()) + " bytes, an onnx file ends at 2 GiB")
        .hint("store the weights as external data");
  }
  if constexpr (std::is_same_v<Proto, onnx::ModelProto>) check_wire(bytes);
  Proto proto;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  in.SetRecursionLimit(400);  // check_wire has its own
  if (!proto.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) fail("not a sound onnx file");
  return proto;
}

template <class Imports>
std::map<std::string, int> read_opsets(const Imports& imports) {
  std::map<std::string, int> opsets;
  for (const auto& import : imports) {
    if (import.version() < 0 || import.version() > std::numeric_limits<int>::max()) {
      fail("opset of domain '" + import.domain() + "' is " + std::to_string(import.version()));
    }
    const auto version = static_cast<int>(import.version());
    const auto [at, fresh] = opsets.emplace(canonical_domain(import.domain()), version);
    if (!fresh && at->second != version) fail("domain '" + import.domain() + "' is imported in two versions");
  }
  return opsets;
}

// A function's body must be as sound as a graph. Functions stay in Model::rest, so a copy is read.
void check_function_body(const onnx::FunctionProto& function, ExternalFiles& files) {
  onnx::GraphProto body;
  body.set_name(function.name());
  *body.mutable_node() = function.node();
  for (const std::string& name : function.input()) body.add_input()->set_name(name);
  for (const std::string& name : function.output()) body.add_output()->set_name(name);
  try {
    read_graph(body, {files, read_opsets(function.opset_import())});
  } catch (const Error& error) {
    throw Error(error.kind(), "function '" + function.name() + "': " + error.what()).hint(error.hint());
  }
}

void read_fields(const onnx::ModelProto& proto, Model& model) {
  model.ir_version = proto.ir_version();
  model.producer_name = proto.producer_name();
  model.producer_version = proto.producer_version();
  model.domain = proto.domain();
  model.doc_string = proto.doc_string();
  model.model_version = proto.model_version();
  for (const auto& entry : proto.metadata_props()) model.metadata.emplace_back(entry.key(), entry.value());
}

bool begins_with_graph(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t at = 0;
  while (at < text.size()) {
    at = text.find_first_not_of(" \t\r\n", at);
    if (at == text.npos || text[at] != '#') break;
    at = text.find('\n', at);
  }
  return at < text.size() && (text.substr(at).starts_with("graph ") || text.substr(at).starts_with("graph("));
}

}  // namespace

Model parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  auto proto = parse_message<onnx::ModelProto>(bytes);
  if (!proto.has_graph()) fail("file holds no graph");
  ExternalFiles files(folder);
  check_functions(proto);
  for (const auto& function : proto.functions()) check_function_body(function, files);
  Model model;
  read_fields(proto, model);
  model.graph = read_graph(*proto.mutable_graph(), {files, read_opsets(proto.opset_import())});
  proto.clear_graph();
  check_all_tensors(proto, "model", files);
  model.rest = proto.SerializeAsString();
  verify(model.graph);
  return model;
}

Model load_model(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().empty()) fail("file '" + path.string() + "' is empty");
  return parse_model(file.bytes(), path.parent_path());
}

Tensor load_tensor(const std::filesystem::path& path) {
  const MappedFile file(path);
  auto proto = parse_message<onnx::TensorProto>(file.bytes());
  ExternalFiles files(path.parent_path());
  Form form;
  return open_tensor(proto, "tensor of '" + path.filename().string() + "'", files, form);
}

Model load_any(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto extension = path.extension();
  if (extension != ".txt" && extension != ".espalier" && !begins_with_graph(file.bytes())) return load_model(path);
  if (static_cast<int64_t>(file.bytes().size()) > kMaxTextBytes) fail("file '" + path.string() + "' is too big for a text");
  return make_model(parse_graph({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}));
}

Model make_model(Graph graph) {
  Model model;
  const int opset = graph.opset();
  model.ir_version = opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 22 ? 10 : opset == 23 ? 11 : 12;
  model.producer_name = "espalier";
  model.graph = std::move(graph);
  return model;
}

}  // namespace espalier
