#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "lib/graph/graph.h"
#include "lib/onnx_io/external_data.h"

namespace espalier::onnx_io {

// How the `rest` strings of a loaded model are made; write_graph.cpp reads them. Empty: not from a file.
//   Initializer: the Form, then TensorProto without type, dims, elements
//   Attribute:   one Form for each tensor, kRestMark, then AttributeProto without its value; name emptied
//   Node:        NodeProto without inputs, outputs, attributes; name and op_type emptied, so that it shows whether they were set
//   Graph:       which entries of value_info name nothing ("3,17,"), kRestMark, then GraphProto without nodes and
//                initialisers; its inputs, outputs and value_info whole
//   Model:       ModelProto without graph
inline constexpr char kRestMark = '\n';

/// What all graphs of a model share while they are read.
struct ReadContext {
  ExternalFiles& files;
  std::map<std::string, int> opsets;
};

/// The graph of a checked message (check_wire), which is emptied on the way. Proves that names are unique, made before they
/// are used and do not shadow those of enclosing graphs, and sorts nodes that are out of order.
/// Throws Error(bad_data), also for a cycle.
Graph read_graph(onnx::GraphProto& proto, const ReadContext& context);

/// A domain as a Graph names it: "ai.onnx" is "".
std::string canonical_domain(const std::string& domain);

}  // namespace espalier::onnx_io
