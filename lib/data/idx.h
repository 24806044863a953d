#pragma once

#include <string>

#include "lib/tensor/tensor.h"

namespace espalier {

/// Reads an IDX file, as MNIST comes in, plain or gzipped. Sizes in the header are compared with the file's size
/// before memory is taken. Throws Error(io) if it cannot be read, Error(bad_data) for what is no IDX file, a size that
/// does not match, or a damaged gzip stream.
/// Source: yann.lecun.com/exdb/mnist; types uint8, int8, int16, int32, float, double, big-endian.
Tensor read_idx(const std::string& path);

}  // namespace espalier
