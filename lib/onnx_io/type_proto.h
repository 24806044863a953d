#pragma once

#include <onnx/onnx_pb.h>

#include "lib/graph/type.h"

namespace espalier::onnx_io {

/// The type as far as a Type holds it: a negative size and an empty symbol are unknown; other kinds are Kind::unknown.
Type read_type(const onnx::TypeProto& proto);

/// Makes `proto` say `type`; what a Type does not hold (denotations) stays where the structure is the same.
void write_type(const Type& type, onnx::TypeProto& proto);

}  // namespace espalier::onnx_io
