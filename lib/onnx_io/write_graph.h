#pragma once

#include <onnx/onnx_pb.h>

#include "lib/graph/graph.h"
#include "lib/onnx_io/external_data.h"

namespace espalier::onnx_io {

/// Where tensors go while a model is written.
struct WriteContext {
  ExternalWriter* external = nullptr;  ///< nullptr: everything inside
  bool all_external = false;           ///< not only what was outside when it was read
};

/// The graph as a message, `rest` strings restored. `proto` must stay where it is until external->layout().
/// Throws Error(bad_data) for what a file cannot hold.
void write_graph(const Graph& graph, const WriteContext& context, onnx::GraphProto& proto);

/// Sets the message from a `rest` string.
void restore(const std::string& rest, google::protobuf::Message& message);

}  // namespace espalier::onnx_io
