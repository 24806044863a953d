#include "lib/onnx_io/save.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <limits>
#include <optional>
#include <set>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/onnx_io/read_graph.h"
#include "lib/onnx_io/write_graph.h"

namespace espalier {
namespace {

using namespace onnx_io;

constexpr int64_t kMessageLimit = std::numeric_limits<int>::max();
constexpr int64_t kStructureReserve = 64 << 20;  // for all that is not tensors

int64_t tensor_bytes(const Graph& graph);

int64_t tensor_bytes(const Attribute::Value& value) {
  int64_t sum = 0;
  const auto add_tensor = [&](const Tensor& t) { sum += static_cast<int64_t>(t.bytes().size()); };
  if (const auto* t = std::get_if<Tensor>(&value)) add_tensor(*t);
  if (const auto* ts = std::get_if<std::vector<Tensor>>(&value)) {
    for (const Tensor& t : *ts) add_tensor(t);
  }
  if (const auto* body = std::get_if<Body>(&value)) sum += tensor_bytes(**body);
  if (const auto* bodies = std::get_if<std::vector<Body>>(&value)) {
    for (const Body& b : *bodies) sum += tensor_bytes(*b);
  }
  return sum;
}

int64_t tensor_bytes(const Graph& graph) {
  int64_t sum = 0;
  for (const auto& [id, initializer] : graph.initializers()) sum += static_cast<int64_t>(initializer.tensor.bytes().size());
  for (const NodeId id : graph.nodes()) {
    for (const Attribute& a : graph.node(id).attributes) sum += tensor_bytes(a.value);
  }
  return sum;
}

// An empty field that was absent when the model was read stays absent.
void put(const std::string& value, const std::string& now, std::string* (onnx::ModelProto::*field)(),
         onnx::ModelProto& proto) {
  if (value != now) *(proto.*field)() = value;
}

void write_metadata(const Model& model, onnx::ModelProto& proto) {
  std::vector<std::pair<std::string, std::string>> read;
  for (const auto& entry : proto.metadata_props()) read.emplace_back(entry.key(), entry.value());
  if (read == model.metadata) return;
  proto.clear_metadata_props();
  for (const auto& [key, value] : model.metadata) {
    auto* entry = proto.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
}

void write_opsets(const std::map<std::string, int>& opsets, onnx::ModelProto& proto) {
  auto& imports = *proto.mutable_opset_import();
  std::set<std::string> written;
  for (int i = 0; i < imports.size();) {
    const auto found = opsets.find(canonical_domain(imports[i].domain()));
    if (found == opsets.end()) {
      imports.erase(imports.begin() + i);
      continue;
    }
    if (imports[i].version() != found->second) imports[i].set_version(found->second);
    written.insert(found->first);
    ++i;
  }
  for (const auto& [domain, version] : opsets) {
    if (written.contains(domain)) continue;
    auto* import = imports.Add();
    import->set_domain(domain);
    import->set_version(version);
  }
}

void write_model(const Model& model, const WriteContext& context, onnx::ModelProto& proto) {
  restore(model.rest, proto);
  if (model.ir_version != proto.ir_version()) proto.set_ir_version(model.ir_version);
  if (model.model_version != proto.model_version()) proto.set_model_version(model.model_version);
  put(model.producer_name, proto.producer_name(), &onnx::ModelProto::mutable_producer_name, proto);
  put(model.producer_version, proto.producer_version(), &onnx::ModelProto::mutable_producer_version, proto);
  put(model.domain, proto.domain(), &onnx::ModelProto::mutable_domain, proto);
  put(model.doc_string, proto.doc_string(), &onnx::ModelProto::mutable_doc_string, proto);
  write_metadata(model, proto);
  write_opsets(model.graph.opsets, proto);
  write_graph(model.graph, context, *proto.mutable_graph());
}

void require_size(int64_t size) {
  if (size > kMessageLimit) {
    throw Error(ErrorKind::bad_data, "model would have " + std::to_string(size) + " bytes, an onnx file ends at 2 GiB")
        .hint("store the weights as external data");
  }
}

/// A stream of protobuf into a file that appears when it is complete.
class FileOutput : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileOutput(AtomicFile& file) : file_(file) {}
  bool Write(const void* bytes, int size) override {
    file_.write({static_cast<const std::byte*>(bytes), static_cast<size_t>(size)});
    return true;
  }

 private:
  AtomicFile& file_;
};

void write_message(const onnx::ModelProto& proto, AtomicFile& file) {
  require_size(static_cast<int64_t>(proto.ByteSizeLong()));
  FileOutput output(file);
  google::protobuf::io::CopyingOutputStreamAdaptor stream(&output);
  check(proto.SerializeToZeroCopyStream(&stream) && stream.Flush(), "a message that can be written");
}

}  // namespace

void save_model(const Model& model, const std::filesystem::path& path, const SaveOptions& options) {
  const std::string data_name = path.filename().string() + ".data";
  ExternalWriter external(data_name);
  const bool too_big = tensor_bytes(model.graph) > options.message_limit - kStructureReserve;
  const bool inside = options.external_data == ExternalData::never;
  if (inside) require_size(tensor_bytes(model.graph));
  const bool all = options.external_data == ExternalData::always || too_big;
  onnx::ModelProto proto;
  write_model(model, {inside ? nullptr : &external, all}, proto);

  std::optional<AtomicFile> data_file;
  if (!external.empty()) {
    external.layout();
    data_file.emplace(path.parent_path() / data_name);
    external.write(*data_file);
    data_file->sync();
  }
  AtomicFile file(path);
  write_message(proto, file);
  file.sync();
  if (data_file) data_file->commit();
  file.commit();
}

namespace {

onnx::ModelProto whole_message(const Model& model) {
  require_size(tensor_bytes(model.graph));  // before they are copied
  onnx::ModelProto proto;
  write_model(model, {}, proto);
  require_size(static_cast<int64_t>(proto.ByteSizeLong()));
  return proto;
}

}  // namespace

int64_t serialized_size(const Model& model) { return static_cast<int64_t>(whole_message(model).ByteSizeLong()); }

std::string serialize_model(const Model& model) { return whole_message(model).SerializeAsString(); }

}  // namespace espalier
