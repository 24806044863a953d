#pragma once

#include <cstddef>
#include <span>

namespace espalier::onnx_io {

/// Graphs inside graphs that a model may have.
inline constexpr int kMaxGraphDepth = 32;

/// Reads the skeleton of a serialized ModelProto (tags and lengths only, by protobuf's own description of the messages)
/// before protobuf may allocate for it. Throws Error(bad_data), naming the byte, for what is not a ModelProto; for graphs,
/// types or messages "nested too deep"; and for parts so many that they would take far more memory than the file.
void check_wire(std::span<const std::byte> bytes);

}  // namespace espalier::onnx_io
