#include "lib/onnx_io/wire.h"

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

#include "lib/base/error.h"

namespace espalier::onnx_io {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr int kMaxMessageDepth = 190;
// What protobuf takes for a submessage and for a string in a list, roughly.
constexpr uint64_t kMessageBytes = 200, kStringBytes = 64, kNumberBytes = 16;

class Skeleton {
 public:
  explicit Skeleton(std::span<const std::byte> bytes)
      : begin_(bytes.data()), budget_((uint64_t{64} << 20) + 8 * bytes.size()) {}

  void message(const std::byte* at, const std::byte* end, const Descriptor* type, int depth, int graphs) {
    if (depth > kMaxMessageDepth) too_deep(at);
    if (type == onnx::GraphProto::descriptor() && ++graphs > kMaxGraphDepth + 1) too_deep(at);
    while (at < end) {
      const std::byte* start = at;
      const uint64_t tag = varint(at, end);
      if (tag >> 3 == 0 || tag >> 32 != 0) fail(start, "field number is out of range");
      const FieldDescriptor* field = type->FindFieldByNumber(static_cast<int>(tag >> 3));
      switch (tag & 7) {
        case 0:
          varint(at, end);
          number(at, field);
          break;
        case 1:
          skip(at, end, 8);
          number(at, field);
          break;
        case 5:
          skip(at, end, 4);
          number(at, field);
          break;
        case 2: {
          const std::byte* inner = at;
          const uint64_t length = varint(inner, end);
          at = inner;
          skip(at, end, length);
          if (field) part(inner, at, *field, depth, graphs);
          else spend(at, kStringBytes);
          break;
        }
        default: fail(start, "wire type " + std::to_string(tag & 7) + " does not occur in models");
      }
    }
  }

 private:
  void number(const std::byte* at, const FieldDescriptor* field) {
    if (!field || field->is_repeated()) spend(at, kNumberBytes);
  }

  void part(const std::byte* at, const std::byte* end, const FieldDescriptor& field, int depth, int graphs) {
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
      spend(at, kMessageBytes);
      message(at, end, field.message_type(), depth + 1, graphs);
    } else if (field.type() == FieldDescriptor::TYPE_STRING || field.type() == FieldDescriptor::TYPE_BYTES) {
      spend(at, kStringBytes);
    } else {
      spend(at, packed_count(at, end, field) * kNumberBytes);
    }
  }

  static uint64_t packed_count(const std::byte* at, const std::byte* end, const FieldDescriptor& field) {
    const auto bytes = static_cast<uint64_t>(end - at);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) return bytes / 8;  // as large in memory as here
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) return bytes / 16;
    uint64_t count = 0;
    for (; at < end; ++at) count += (*at & std::byte{0x80}) == std::byte{0};
    return count;
  }

  uint64_t varint(const std::byte*& at, const std::byte* end) {
    const std::byte* start = at;
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at == end) fail(start, "it ends inside a number");
      const auto byte = static_cast<uint64_t>(*at++);
      value |= (byte & 0x7f) << (shift < 64 ? shift : 63);
      if (byte < 0x80) return value;
    }
    fail(start, "number is longer than 10 bytes");
  }

  void skip(const std::byte*& at, const std::byte* end, uint64_t length) {
    if (length > static_cast<uint64_t>(end - at)) {
      fail(at, "field claims " + std::to_string(length) + " bytes, " + std::to_string(end - at) + " are there");
    }
    at += length;
  }

  void spend(const std::byte* at, uint64_t bytes) {
    if (bytes > budget_) fail(at, "file has more parts than its size warrants");
    budget_ -= bytes;
  }

  [[noreturn]] void too_deep(const std::byte* at) const {
    throw Error(ErrorKind::bad_data, "model is nested too deep at byte " + std::to_string(at - begin_) +
                                         ", expected at most " + std::to_string(kMaxGraphDepth) + " levels");
  }

  [[noreturn]] void fail(const std::byte* at, const std::string& why) const {
    throw Error(ErrorKind::bad_data, "not a sound onnx file: at byte " + std::to_string(at - begin_) + ", " + why);
  }

  const std::byte* begin_;
  uint64_t budget_;
};

}  // namespace

void check_wire(std::span<const std::byte> bytes) {
  Skeleton(bytes).message(bytes.data(), bytes.data() + bytes.size(), onnx::ModelProto::descriptor(), 0, 0);
}

}  // namespace espalier::onnx_io
