#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

#include "lib/graph/graph.h"

namespace espalier {

enum class ExternalData {
  automatic,  ///< where the loaded model had it, and where the model would pass protobuf's 2 GiB
  never,      ///< all weights inside the file
  always,     ///< weights of 1 KiB and more outside
};

struct SaveOptions {
  ExternalData external_data = ExternalData::automatic;
  int64_t message_limit = std::numeric_limits<int32_t>::max();  ///< bytes that the file may have; protobuf's own is the most
};

/// Writes the model to `path`, and external data beside it as `<name>.data`. Both appear complete or not at all; an untouched
/// model is written equal, message by message. The data file's name never comes from the model.
/// Throws Error(io), and Error(bad_data) for a graph that an .onnx file cannot hold (our internal operators, 2 GiB with
/// ExternalData::never).
void save_model(const Model& model, const std::filesystem::path& path, const SaveOptions& options = {});

/// How many bytes the .onnx file has with all weights inside. Throws Error(bad_data) beyond 2 GiB.
int64_t serialized_size(const Model& model);

/// The bytes of the .onnx file with all weights inside. Throws Error(bad_data) beyond 2 GiB.
std::string serialize_model(const Model& model);

}  // namespace espalier
