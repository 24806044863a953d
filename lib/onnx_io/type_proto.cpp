#include "lib/onnx_io/type_proto.h"

namespace espalier::onnx_io {
namespace {

Dim read_dim(const onnx::TensorShapeProto::Dimension& dim) {
  if (dim.has_dim_value() && dim.dim_value() >= 0) return dim.dim_value();
  if (dim.has_dim_param() && !dim.dim_param().empty()) return Dim::symbol(dim.dim_param());
  return {};
}

template <class TensorType>
void read_tensor(const TensorType& proto, Type::Kind kind, Type& type) {
  type.kind = kind;
  type.elem_type = static_cast<DataType>(proto.elem_type());
  if (!proto.has_shape()) return;
  type.dims.emplace();
  for (const auto& d : proto.shape().dim()) type.dims->push_back(read_dim(d));
}

std::shared_ptr<const Type> read_element(const onnx::TypeProto& proto) {
  return std::make_shared<const Type>(read_type(proto));
}

void write_dim(const Dim& dim, onnx::TensorShapeProto::Dimension& proto) {
  if (dim.same_as(read_dim(proto))) return;
  if (dim.known()) proto.set_dim_value(dim.value());
  else if (dim.unknown()) proto.clear_value();
  else proto.set_dim_param(dim.str());
}

template <class TensorType>
void write_tensor_type(const Type& type, TensorType& proto) {
  proto.set_elem_type(static_cast<int32_t>(type.elem_type));
  if (!type.dims) return proto.clear_shape();
  auto& dims = *proto.mutable_shape()->mutable_dim();
  if (dims.size() != static_cast<int>(type.dims->size())) dims.Clear();
  while (dims.size() < static_cast<int>(type.dims->size())) dims.Add();
  for (int i = 0; i < dims.size(); ++i) write_dim((*type.dims)[i], dims[i]);
}

}  // namespace

Type read_type(const onnx::TypeProto& proto) {
  Type type;
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType: read_tensor(proto.tensor_type(), Type::Kind::tensor, type); break;
    case onnx::TypeProto::kSparseTensorType:
      read_tensor(proto.sparse_tensor_type(), Type::Kind::sparse_tensor, type);
      break;
    case onnx::TypeProto::kSequenceType:
      type.kind = Type::Kind::sequence;
      type.element = read_element(proto.sequence_type().elem_type());
      break;
    case onnx::TypeProto::kOptionalType:
      type.kind = Type::Kind::optional;
      type.element = read_element(proto.optional_type().elem_type());
      break;
    case onnx::TypeProto::kMapType:
      type.kind = Type::Kind::map;
      type.elem_type = static_cast<DataType>(proto.map_type().key_type());
      type.element = read_element(proto.map_type().value_type());
      break;
    default: break;
  }
  return type;
}

void write_type(const Type& type, onnx::TypeProto& proto) {
  if (type.same_as(read_type(proto))) return;
  const auto element = [&](onnx::TypeProto* inner) {
    if (type.element) write_type(*type.element, *inner);
  };
  switch (type.kind) {
    case Type::Kind::unknown: proto.clear_value(); break;
    case Type::Kind::tensor: write_tensor_type(type, *proto.mutable_tensor_type()); break;
    case Type::Kind::sparse_tensor: write_tensor_type(type, *proto.mutable_sparse_tensor_type()); break;
    case Type::Kind::sequence: element(proto.mutable_sequence_type()->mutable_elem_type()); break;
    case Type::Kind::optional: element(proto.mutable_optional_type()->mutable_elem_type()); break;
    case Type::Kind::map:
      proto.mutable_map_type()->set_key_type(static_cast<int32_t>(type.elem_type));
      element(proto.mutable_map_type()->mutable_value_type());
      break;
  }
}

}  // namespace espalier::onnx_io
