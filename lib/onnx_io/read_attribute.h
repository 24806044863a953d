#pragma once

#include <functional>

#include "lib/onnx_io/read_graph.h"

namespace espalier::onnx_io {

using ReadBody = std::function<Body(onnx::GraphProto&)>;

/// The attribute of a message, which is emptied on the way. `node`: how messages call its node.
Attribute read_attribute(onnx::AttributeProto& proto, const std::string& node, ExternalFiles& files, const ReadBody& body);

/// The kind of an attribute: its type, or, in old files that have none, the kind of the value that is there.
onnx::AttributeProto::AttributeType kind_of(const onnx::AttributeProto& proto);

}  // namespace espalier::onnx_io
