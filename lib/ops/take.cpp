#include "lib/ops/take.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace espalier::ops {
namespace {

struct Bytes16 {
  std::array<std::byte, 16> bytes;
};

template <class T>
std::span<const T> elements(const Tensor& tensor) {
  if constexpr (std::is_same_v<T, std::string>) return tensor.strings();
  else return {reinterpret_cast<const T*>(tensor.bytes().data()), static_cast<size_t>(tensor.size())};
}

template <class T>
std::span<T> mutable_elements(Tensor& tensor) {
  if constexpr (std::is_same_v<T, std::string>) return tensor.mutable_strings();
  else return {reinterpret_cast<T*>(tensor.mutable_bytes().data()), static_cast<size_t>(tensor.size())};
}

/// Calls the body with a type as wide as an element.
template <class Body>
void dispatch_width(DataType type, Body&& body) {
  if (type == DataType::string) return body.template operator()<std::string>();
  switch (bit_width(type)) {
    case 8: return body.template operator()<uint8_t>();
    case 16: return body.template operator()<uint16_t>();
    case 32: return body.template operator()<uint32_t>();
    case 64: return body.template operator()<uint64_t>();
    case 128: return body.template operator()<Bytes16>();
    default:
      throw Error(ErrorKind::bad_data, "element type " + std::string(name(type)) + " is not supported here");
  }
}

/// Calls visit(to, from) for every element of the result; from is below 0 where an index is. offsets[a][i]: what index i
/// of axis a adds to the source position, below 0 for none.
template <class Visit>
void walk(const AxisIndices& offsets, Visit&& visit) {
  const size_t rank = offsets.size();
  std::vector<size_t> at(rank, 0);
  int64_t count = 1;
  for (const auto& axis : offsets) count *= static_cast<int64_t>(axis.size());
  for (int64_t to = 0; to < count; ++to) {
    int64_t from = 0;
    for (size_t a = 0; a < rank && from >= 0; ++a) {
      const int64_t offset = offsets[a][at[a]];
      from = offset < 0 ? -1 : from + offset;
    }
    visit(to, from);
    for (size_t a = rank; a-- > 0;) {
      if (++at[a] < offsets[a].size()) break;
      at[a] = 0;
    }
  }
}

Tensor gathered(const Tensor& in, const AxisIndices& offsets, const Tensor* fill) {
  Dims dims;
  for (const auto& axis : offsets) dims.push_back(static_cast<int64_t>(axis.size()));
  Tensor result(in.type(), std::move(dims));
  dispatch_width(in.type(), [&]<class T>() {
    const auto source = elements<T>(in);
    const auto target = mutable_elements<T>(result);
    const T other = fill ? elements<T>(*fill)[0] : T();
    walk(offsets, [&](int64_t to, int64_t from) { target[to] = from < 0 ? other : source[from]; });
  });
  return result;
}

}  // namespace

AxisIndices all_indices(const Dims& dims) {
  AxisIndices at(dims.size());
  for (size_t a = 0; a < dims.size(); ++a) {
    at[a].resize(dims[a]);
    std::iota(at[a].begin(), at[a].end(), 0);
  }
  return at;
}

Tensor take(const Tensor& in, const AxisIndices& at, const Tensor* fill) {
  const Dims strides = row_major_strides(in.dims());
  AxisIndices offsets = at;
  for (size_t a = 0; a < offsets.size(); ++a) {
    for (int64_t& index : offsets[a]) index = index < 0 ? -1 : index * strides[a];
  }
  return gathered(in, offsets, fill);
}

Tensor permuted(const Tensor& in, const std::vector<int64_t>& perm) {
  const Dims strides = row_major_strides(in.dims());
  AxisIndices offsets(perm.size());
  for (size_t a = 0; a < perm.size(); ++a) {
    for (int64_t i = 0; i < in.dims()[perm[a]]; ++i) offsets[a].push_back(i * strides[perm[a]]);
  }
  return gathered(in, offsets, nullptr);
}

void copy_elements(const Tensor& from, int64_t from_at, Tensor& to, int64_t to_at, int64_t count) {
  dispatch_width(from.type(), [&]<class T>() {
    const auto source = elements<T>(from).subspan(from_at, count);
    std::copy(source.begin(), source.end(), mutable_elements<T>(to).begin() + to_at);
  });
}

}  // namespace espalier::ops
