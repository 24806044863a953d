#pragma once

#include <onnx/onnx_pb.h>

#include <string>

#include "lib/onnx_io/external_data.h"
#include "lib/tensor/tensor.h"

namespace espalier::onnx_io {

/// How a file holds a tensor's elements: TensorProto.raw_data, the typed lists (float_data ...), or another file.
enum class Form : char { raw = 'R', typed = 'T', external = 'E' };

/// The tensor of a TensorProto, wherever that sits; nothing else reads a tensor's bytes. Proves, before anything is allocated,
/// that type and dims are possible and that exactly the bytes they need are present, in one place. Raw bytes are moved, not
/// copied; the proto keeps what a Tensor does not hold (name, doc string, external_data).
/// Throws Error(bad_data) that begins with `where`.
Tensor open_tensor(onnx::TensorProto& proto, const std::string& where, ExternalFiles& files, Form& form);

/// The same proofs without taking the tensor.
void check_tensor(const onnx::TensorProto& proto, const std::string& where, ExternalFiles& files);

/// Sets type, dims and elements of `proto`; the rest of it stays. Form::external sets no elements: ExternalWriter does.
void write_tensor(const Tensor& tensor, Form form, onnx::TensorProto& proto);

}  // namespace espalier::onnx_io
