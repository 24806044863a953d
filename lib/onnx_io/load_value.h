#pragma once

#include <filesystem>

#include "lib/graph/host_value.h"

namespace espalier {

/// The value of a file that holds one TensorProto, SequenceProto or OptionalProto (ONNX's test data): the message that
/// `declared` calls for, a TensorProto where that is unknown. External data is looked for in the file's folder.
/// Throws Error(bad_data), also for sparse tensors and maps, and Error(io).
HostValue load_value(const std::filesystem::path& path, const Type& declared);

}  // namespace espalier
