#include "lib/onnx_io/load_value.h"

#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx-data_pb.h>

#include <limits>

#include "lib/base/file.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/tensor_proto.h"

namespace espalier {
namespace {

using namespace onnx_io;

constexpr int kMaxDepth = 32;

class ValueReader {
 public:
  explicit ValueReader(const std::filesystem::path& path)
      : file_(path), files_(path.parent_path()), where_("value of '" + path.filename().string() + "'") {}

  template <class Proto>
  HostValue read() {
    const auto bytes = file_.bytes();
    if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) fail("is longer than 2 GiB");
    Proto proto;
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
    in.SetRecursionLimit(400);
    if (!proto.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) fail("is no sound message");
    return value(proto, 0);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw Error(ErrorKind::bad_data, where_ + " " + why); }

  HostValue tensor(onnx::TensorProto& proto) {
    Form form;
    return open_tensor(proto, where_, files_, form);
  }

  HostValue value(onnx::SequenceProto& proto, int depth) {
    if (depth > kMaxDepth) fail("is nested too deep");
    std::vector<HostValue> elements;
    for (auto& t : *proto.mutable_tensor_values()) elements.push_back(tensor(t));
    for (auto& s : *proto.mutable_sequence_values()) elements.push_back(value(s, depth + 1));
    for (auto& o : *proto.mutable_optional_values()) elements.push_back(value(o, depth + 1));
    if (proto.sparse_tensor_values_size() + proto.map_values_size() > 0) fail("holds sparse tensors or maps");
    Type element;
    if (!elements.empty()) element = elements[0].type();
    element.dims.reset();
    return HostValue::sequence(std::move(element), std::move(elements));
  }

  HostValue value(onnx::OptionalProto& proto, int depth) {
    if (depth > kMaxDepth) fail("is nested too deep");
    if (proto.has_tensor_value()) return HostValue::optional(tensor(*proto.mutable_tensor_value()));
    if (proto.has_sequence_value()) return HostValue::optional(value(*proto.mutable_sequence_value(), depth + 1));
    if (proto.has_optional_value()) return HostValue::optional(value(*proto.mutable_optional_value(), depth + 1));
    if (proto.has_sparse_tensor_value() || proto.has_map_value()) fail("holds a sparse tensor or a map");
    return HostValue::none(Type());
  }

  MappedFile file_;
  ExternalFiles files_;
  std::string where_;
};

}  // namespace

HostValue load_value(const std::filesystem::path& path, const Type& declared) {
  if (declared.kind == Type::Kind::sequence) return ValueReader(path).read<onnx::SequenceProto>();
  if (declared.kind == Type::Kind::optional) return ValueReader(path).read<onnx::OptionalProto>();
  return load_tensor(path);
}

}  // namespace espalier
