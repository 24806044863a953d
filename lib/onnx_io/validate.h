#pragma once

#include <onnx/onnx_pb.h>

#include <string>

#include "lib/graph/node.h"
#include "lib/onnx_io/external_data.h"

namespace espalier::onnx_io {

// What a sound model must be beyond what building its Graph proves. All throw Error(bad_data).

/// Every TensorProto and SparseTensorProto anywhere in the message, but for one field of its own (0: none), as
/// check_tensor; sparse indices must fit their dims.
void check_all_tensors(const google::protobuf::Message& message, const std::string& where, ExternalFiles& files,
                       int but_field = 0);

/// Functions must not call themselves, directly or in a ring, must be called with as many inputs, outputs at most as they
/// have, and must not grow beyond a million nodes when they are all inlined.
void check_functions(const onnx::ModelProto& model);

/// The number of inputs and outputs of a node, and the inputs that its operator cannot do without, by libonnx's table of
/// operators. Operators and versions newer than the table pass.
void check_arity(const Node& node);

}  // namespace espalier::onnx_io
