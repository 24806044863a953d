#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "lib/graph/graph.h"

namespace espalier {

/// The model of an .onnx file, validated: sizes, names, order, nesting, functions, external data (mapped, confined to the
/// file's folder). The nodes of a graph that is not in order are sorted stably. Nothing that a reader of the file can see
/// is lost (see save.h).
/// Throws Error(bad_data) for a file that is not a sound model, Error(io) if it or its external data cannot be read.
Model load_model(const std::filesystem::path& path);

/// The same for bytes in memory; external data is looked for in `folder`.
Model parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder);

/// The tensor of a file that holds one TensorProto (ONNX's test data); external data is looked for in the file's folder.
/// Throws Error(bad_data), Error(io).
Tensor load_tensor(const std::filesystem::path& path);

/// A model in either form: text (lib/graph/README.md) if the name ends in .txt or .espalier or the file begins with the word
/// `graph` after space and comments; ONNX otherwise. Throws as load_model and parse_graph.
Model load_any(const std::filesystem::path& path);

/// A model of a graph that was made here: the oldest IR version that allows its opset.
Model make_model(Graph graph);

}  // namespace espalier
