#include "lib/onnx_io/tensor_proto.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "lib/base/error.h"

namespace espalier::onnx_io {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using onnx::TensorProto;

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::bad_data, why); }

/// The typed list that holds elements of a type.
enum class Field { floats, int32s, int64s, doubles, uint64s, strings };

Field field_of(DataType type) {
  switch (type) {
    case DataType::float32: case DataType::complex64: return Field::floats;
    case DataType::float64: case DataType::complex128: return Field::doubles;
    case DataType::int64: return Field::int64s;
    case DataType::uint32: case DataType::uint64: return Field::uint64s;
    case DataType::string: return Field::strings;
    default: return Field::int32s;
  }
}

int64_t entries_in(const TensorProto& proto, Field field) {
  switch (field) {
    case Field::floats: return proto.float_data_size();
    case Field::int32s: return proto.int32_data_size();
    case Field::int64s: return proto.int64_data_size();
    case Field::doubles: return proto.double_data_size();
    case Field::uint64s: return proto.uint64_data_size();
    case Field::strings: return proto.string_data_size();
  }
  return 0;
}

int64_t all_entries(const TensorProto& proto) {
  int64_t sum = 0;
  for (const Field f : {Field::floats, Field::int32s, Field::int64s, Field::doubles, Field::uint64s, Field::strings}) {
    sum += entries_in(proto, f);
  }
  return sum;
}

int64_t entries_needed(DataType type, const Dims& dims) {
  switch (type) {
    case DataType::complex64: case DataType::complex128: return checked_mul(element_count(dims), 2);
    default: return bit_width(type) == 4 ? byte_count(type, dims) : element_count(dims);
  }
}

/// What a TensorProto says of itself, proven.
struct Content {
  DataType type;
  Dims dims;
  Form form;
  ExternalFiles::Bytes external;
};

void require_bools(std::span<const std::byte> bytes) {
  const auto odd = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  if (odd != bytes.end()) fail("bool element is " + std::to_string(static_cast<int>(*odd)) + ", expected 0 or 1");
}

Content inspect(const TensorProto& proto, ExternalFiles& files) {
  Content content{static_cast<DataType>(proto.data_type()), {}, Form::typed, {}};
  if (content.type != DataType::string && bit_width(content.type) == 0) {
    fail("element type " + std::to_string(proto.data_type()) + " is not known");
  }
  if (proto.dims_size() > static_cast<int>(kMaxRank)) {
    fail("rank is " + std::to_string(proto.dims_size()) + ", expected at most " + std::to_string(kMaxRank));
  }
  if (proto.has_segment()) fail("tensors in segments are not supported");
  content.dims.assign(proto.dims().begin(), proto.dims().end());
  const int64_t bytes = byte_count(content.type, content.dims);
  const int64_t entries = all_entries(proto);
  const bool is_string = content.type == DataType::string;
  const std::string declared = std::string(name(content.type)) + to_string(content.dims);

  if (proto.data_location() == TensorProto::EXTERNAL) {
    if (proto.has_raw_data() || entries > 0) fail("has elements both here and in external data");
    if (is_string) fail("strings cannot be external data");
    content.form = Form::external;
    content.external = files.open(proto, bytes);
    if (content.type == DataType::boolean) require_bools(content.external.bytes);
  } else if (proto.has_raw_data()) {
    const std::string& raw = proto.raw_data();
    if (entries > 0) fail("has elements in more than one field");
    if (is_string) fail("strings cannot be raw data");
    if (static_cast<int64_t>(raw.size()) != bytes) {
      fail(declared + " needs " + std::to_string(bytes) + " bytes, raw_data has " + std::to_string(raw.size()));
    }
    if (content.type == DataType::boolean) require_bools(std::as_bytes(std::span(raw)));
    content.form = Form::raw;
  } else {
    const int64_t needed = entries_needed(content.type, content.dims), present = entries_in(proto, field_of(content.type));
    if (present != entries) fail("has elements in a field of another type");
    if (present != needed) {
      fail(declared + " needs " + std::to_string(needed) + " entries, its typed field has " + std::to_string(present));
    }
  }
  return content;
}

// Narrow integers, and the bits of small floats, lie in int32_data; uint32 in uint64_data.
template <class T, class List>
void narrow(const List& list, std::span<std::byte> out, T low, T high) {
  for (int i = 0; i < list.size(); ++i) {
    const auto entry = list[i];
    if (entry < static_cast<decltype(entry)>(low) || entry > static_cast<decltype(entry)>(high)) {
      fail("element " + std::to_string(i) + " is " + std::to_string(entry) + ", out of range of its type");
    }
    const auto value = static_cast<T>(entry);
    std::memcpy(out.data() + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
  }
}

template <class T, class List>
void narrow(const List& list, std::span<std::byte> out) {
  narrow<T>(list, out, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
}

void read_int32s(const TensorProto& proto, DataType type, std::span<std::byte> out) {
  const auto& list = proto.int32_data();
  switch (type) {
    case DataType::int32: std::memcpy(out.data(), list.data(), out.size()); break;
    case DataType::int16: narrow<int16_t>(list, out); break;
    case DataType::int8: narrow<int8_t>(list, out); break;
    case DataType::boolean: narrow<uint8_t>(list, out, 0, 1); break;
    case DataType::uint16: case DataType::float16: case DataType::bfloat16: narrow<uint16_t>(list, out); break;
    default: narrow<uint8_t>(list, out); break;  // uint8, float8 and pairs of 4 bits
  }
}

Tensor read_typed(const TensorProto& proto, const Content& content) {
  if (content.type == DataType::string) {
    return Tensor::of_strings(content.dims, {proto.string_data().begin(), proto.string_data().end()});
  }
  Tensor tensor(content.type, content.dims);
  const auto out = tensor.mutable_bytes();
  if (out.empty()) return tensor;
  switch (field_of(content.type)) {
    case Field::floats: std::memcpy(out.data(), proto.float_data().data(), out.size()); break;
    case Field::doubles: std::memcpy(out.data(), proto.double_data().data(), out.size()); break;
    case Field::int64s: std::memcpy(out.data(), proto.int64_data().data(), out.size()); break;
    case Field::uint64s:
      if (content.type == DataType::uint32) narrow<uint32_t>(proto.uint64_data(), out);
      else std::memcpy(out.data(), proto.uint64_data().data(), out.size());
      break;
    default: read_int32s(proto, content.type, out);
  }
  return tensor;
}

Tensor view(const Content& content, std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(double) == 0) {
    return Tensor(content.type, content.dims, bytes, std::move(owner));
  }
  Tensor copy(content.type, content.dims);
  std::copy(bytes.begin(), bytes.end(), copy.mutable_bytes().begin());
  return copy;
}

void clear_elements(TensorProto& proto) {
  proto.clear_data_type();
  proto.clear_dims();
  proto.clear_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
  proto.clear_string_data();
}

template <class Body>
auto located(const std::string& where, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(error.kind(), where + ": " + error.what()).hint(error.hint());
  }
}

template <class T, class List>
void widen(std::span<const std::byte> bytes, List* list) {
  list->Reserve(static_cast<int>(bytes.size() / sizeof(T)));
  for (size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + i, sizeof(T));
    list->Add(value);
  }
}

void write_int32s(DataType type, std::span<const std::byte> bytes, TensorProto& proto) {
  auto* list = proto.mutable_int32_data();
  switch (type) {
    case DataType::int32: return widen<int32_t>(bytes, list);
    case DataType::int16: return widen<int16_t>(bytes, list);
    case DataType::int8: return widen<int8_t>(bytes, list);
    case DataType::uint16: case DataType::float16: case DataType::bfloat16: return widen<uint16_t>(bytes, list);
    default: return widen<uint8_t>(bytes, list);
  }
}

void write_typed(const Tensor& tensor, TensorProto& proto) {
  if (tensor.type() == DataType::string) {
    for (const std::string& s : tensor.strings()) proto.add_string_data(s);
    return;
  }
  switch (field_of(tensor.type())) {
    case Field::floats: return widen<float>(tensor.bytes(), proto.mutable_float_data());
    case Field::doubles: return widen<double>(tensor.bytes(), proto.mutable_double_data());
    case Field::int64s: return widen<int64_t>(tensor.bytes(), proto.mutable_int64_data());
    case Field::uint64s:
      if (tensor.type() == DataType::uint32) return widen<uint32_t>(tensor.bytes(), proto.mutable_uint64_data());
      return widen<uint64_t>(tensor.bytes(), proto.mutable_uint64_data());
    default: return write_int32s(tensor.type(), tensor.bytes(), proto);
  }
}

}  // namespace

Tensor open_tensor(TensorProto& proto, const std::string& where, ExternalFiles& files, Form& form) {
  return located(where, [&] {
    const Content content = inspect(proto, files);
    form = content.form;
    Tensor tensor;
    if (form == Form::external) {
      tensor = view(content, content.external.bytes, content.external.owner);
    } else if (form == Form::raw) {
      const std::shared_ptr<const std::string> raw(proto.release_raw_data());
      tensor = view(content, std::as_bytes(std::span(*raw)), raw);
    } else {
      tensor = read_typed(proto, content);
    }
    clear_elements(proto);
    return tensor;
  });
}

void check_tensor(const TensorProto& proto, const std::string& where, ExternalFiles& files) {
  located(where, [&] {
    const Content content = inspect(proto, files);
    if (content.form == Form::typed) read_typed(proto, content);
  });
}

void write_tensor(const Tensor& tensor, Form form, TensorProto& proto) {
  clear_elements(proto);
  proto.set_data_type(static_cast<int32_t>(tensor.type()));
  for (const int64_t d : tensor.dims()) proto.add_dims(d);
  if (form == Form::external) {
    proto.set_data_location(TensorProto::EXTERNAL);
    return;
  }
  if (proto.data_location() == TensorProto::EXTERNAL) proto.clear_data_location();
  if (form == Form::typed || tensor.type() == DataType::string) {
    write_typed(tensor, proto);
  } else {
    proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
  }
}

}  // namespace espalier::onnx_io
