#include "lib/tensor/take.h"

#include <cstring>

namespace espalier {
namespace {

size_t element_bytes(const Tensor& tensor) {
  const int bits = bit_width(tensor.type());
  if (bits < 8) {
    throw Error(ErrorKind::bad_data, "elements of type " + std::string(name(tensor.type())) + " cannot be taken from a tensor");
  }
  return static_cast<size_t>(bits) / 8;
}

}  // namespace

Tensor take_blocks(const Tensor& tensor, Dims dims, int64_t block, std::span<const int64_t> blocks) {
  Tensor result(tensor.type(), std::move(dims));
  const size_t run = static_cast<size_t>(block) * element_bytes(tensor);
  check(result.bytes().size() == run * blocks.size(), "blocks taken from a tensor fill the result");
  const auto from = tensor.bytes();
  const auto to = result.mutable_bytes();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t at = static_cast<size_t>(blocks[i]) * run;
    check(blocks[i] >= 0 && at + run <= from.size(), "a block taken lies within its tensor");
    if (run > 0) std::memcpy(to.data() + i * run, from.data() + at, run);
  }
  return result;
}

Tensor take(const Tensor& tensor, int64_t axis, std::span<const int64_t> index) {
  const auto at = static_cast<size_t>(axis);
  const Dims& dims = tensor.dims();
  check(axis >= 0 && at < dims.size(), "an axis of the tensor that is taken from");
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i < at) outer *= dims[i];
    if (i > at) inner *= dims[i];
  }
  std::vector<int64_t> blocks;
  blocks.reserve(static_cast<size_t>(outer) * index.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t i : index) {
      check(i >= 0 && i < dims[at], "a position taken lies within its axis");
      blocks.push_back(o * dims[at] + i);
    }
  }
  Dims taken = dims;
  taken[at] = static_cast<int64_t>(index.size());
  return take_blocks(tensor, std::move(taken), inner, blocks);
}

}  // namespace espalier
