#pragma once

#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier {

/// Elements of a tensor type; 0 unless all sizes are known.
int64_t known_elements(const Type& type);
/// Bytes of a tensor type; 0 unless all sizes are known.
int64_t known_bytes(const Type& type);
/// Bytes of all inputs read and outputs written.
int64_t known_traffic(const InferContext& c);

}  // namespace espalier
