#include "lib/onnx_io/read_attribute.h"

#include "lib/base/error.h"
#include "lib/onnx_io/tensor_proto.h"
#include "lib/onnx_io/validate.h"

namespace espalier::onnx_io {
namespace {

using onnx::AttributeProto;

template <class T, class List>
std::vector<T> take(List& list) {
  std::vector<T> result(list.begin(), list.end());
  list.Clear();
  return result;
}

class AttributeReader {
 public:
  AttributeReader(AttributeProto& proto, std::string where, ExternalFiles& files, const ReadBody& body)
      : proto_(proto), where_(std::move(where)), files_(files), body_(body) {}

  Attribute read() {
    Attribute result;
    result.name = proto_.name();
    check_all_tensors(proto_, where_, files_, field_of(kind()));  // what is only carried, sparse tensors among it
    result.value = value();
    if (proto_.has_name()) proto_.set_name("");
    result.rest = forms_ + kRestMark + proto_.SerializeAsString();
    return result;
  }

 private:
  AttributeProto::AttributeType kind() const {
    return proto_.ref_attr_name().empty() ? kind_of(proto_) : AttributeProto::UNDEFINED;
  }

  // Of the kinds whose tensors are opened on the way.
  static int field_of(AttributeProto::AttributeType kind) {
    switch (kind) {
      case AttributeProto::TENSOR: return AttributeProto::kTFieldNumber;
      case AttributeProto::TENSORS: return AttributeProto::kTensorsFieldNumber;
      case AttributeProto::GRAPH: return AttributeProto::kGFieldNumber;
      case AttributeProto::GRAPHS: return AttributeProto::kGraphsFieldNumber;
      default: return 0;
    }
  }

  Attribute::Value value() {
    switch (kind()) {
      case AttributeProto::FLOAT: return scalar<float>(proto_.f(), proto_.has_f(), [&] { proto_.set_f(0); });
      case AttributeProto::INT: return scalar<int64_t>(proto_.i(), proto_.has_i(), [&] { proto_.set_i(0); });
      case AttributeProto::STRING: return scalar<std::string>(proto_.s(), proto_.has_s(), [&] { proto_.set_s(""); });
      case AttributeProto::FLOATS: return take<float>(*proto_.mutable_floats());
      case AttributeProto::INTS: return take<int64_t>(*proto_.mutable_ints());
      case AttributeProto::STRINGS: return take<std::string>(*proto_.mutable_strings());
      case AttributeProto::TENSOR:
        require(proto_.has_t());
        return open(*proto_.mutable_t());
      case AttributeProto::TENSORS: return tensors();
      case AttributeProto::GRAPH: {
        require(proto_.has_g());
        Body body = body_(*proto_.mutable_g());
        proto_.clear_g();
        return body;
      }
      case AttributeProto::GRAPHS: {
        std::vector<Body> bodies;
        for (auto& g : *proto_.mutable_graphs()) bodies.push_back(body_(g));
        proto_.clear_graphs();
        return bodies;
      }
      default: return std::monostate();
    }
  }

  // Whether a value of zero was written is kept by leaving the zero there.
  template <class T, class Reset>
  T scalar(T value, bool present, Reset&& reset) {
    if (present) reset();
    return value;
  }

  void require(bool present) const {
    if (!present) throw Error(ErrorKind::bad_data, where_ + ": has no value of its type");
  }

  Tensor open(onnx::TensorProto& proto) {
    Form form;
    Tensor tensor = open_tensor(proto, where_, files_, form);
    forms_ += static_cast<char>(form);
    return tensor;
  }

  std::vector<Tensor> tensors() {
    std::vector<Tensor> result;
    for (auto& t : *proto_.mutable_tensors()) result.push_back(open(t));
    return result;
  }

  AttributeProto& proto_;
  std::string where_;
  ExternalFiles& files_;
  const ReadBody& body_;
  std::string forms_;
};

}  // namespace

AttributeProto::AttributeType kind_of(const AttributeProto& proto) {
  if (proto.has_type() && proto.type() != AttributeProto::UNDEFINED) return proto.type();
  if (proto.has_f()) return AttributeProto::FLOAT;
  if (proto.has_i()) return AttributeProto::INT;
  if (proto.has_s()) return AttributeProto::STRING;
  if (proto.has_t()) return AttributeProto::TENSOR;
  if (proto.has_g()) return AttributeProto::GRAPH;
  if (proto.floats_size()) return AttributeProto::FLOATS;
  if (proto.ints_size()) return AttributeProto::INTS;
  if (proto.strings_size()) return AttributeProto::STRINGS;
  if (proto.tensors_size()) return AttributeProto::TENSORS;
  if (proto.graphs_size()) return AttributeProto::GRAPHS;
  return AttributeProto::UNDEFINED;
}

Attribute read_attribute(AttributeProto& proto, const std::string& node, ExternalFiles& files, const ReadBody& body) {
  return AttributeReader(proto, node + ": attribute '" + proto.name() + "'", files, body).read();
}

}  // namespace espalier::onnx_io
