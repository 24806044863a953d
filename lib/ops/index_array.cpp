#include "lib/ops/index_array.h"

#include <algorithm>
#include <numeric>

#include "lib/base/error.h"

namespace espalier {
namespace {

/// Elements before, at and after an axis: the array as [outer, length, inner].
struct Around {
  int64_t outer = 1, length = 1, inner = 1;
};

Around around(const Dims& dims, int axis) {
  Around result;
  for (int i = 0; i < static_cast<int>(dims.size()); ++i) {
    (i < axis ? result.outer : i == axis ? result.length : result.inner) *= dims[static_cast<size_t>(i)];
  }
  return result;
}

/// The elements of `from` that the strides pick at every position of `dims`.
std::vector<int32_t> strided(std::span<const int32_t> from, const Dims& dims, const Dims& strides) {
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(element_count(dims)));
  if (dims.empty()) return {from[0]};
  const size_t last = dims.size() - 1;
  const Dims outer(dims.begin(), dims.end() - 1);
  for_each_position(outer, [&](const Dims& at) {
    int64_t offset = 0;
    for (size_t i = 0; i < last; ++i) offset += at[i] * strides[i];
    for (int64_t k = 0; k < dims[last]; ++k) out.push_back(from[static_cast<size_t>(offset + k * strides[last])]);
  });
  return out;
}

}  // namespace

IndexArray::IndexArray(Dims dims, std::vector<int32_t> values)
    : dims_(std::move(dims)), values_(std::make_shared<const std::vector<int32_t>>(std::move(values))) {
  check(element_count(dims_) == size(), "an index array has as many values as its dims say");
}

IndexArray IndexArray::range(int64_t begin, int64_t end) {
  std::vector<int32_t> values(static_cast<size_t>(end - begin));
  std::iota(values.begin(), values.end(), static_cast<int32_t>(begin));
  return {{end - begin}, std::move(values)};
}

IndexArray IndexArray::reshaped(Dims dims) const {
  check(element_count(dims) == size(), "a reshape keeps the number of elements");
  IndexArray result = *this;
  result.dims_ = std::move(dims);
  return result;
}

IndexArray IndexArray::transposed(const std::vector<int>& order) const {
  if (std::is_sorted(order.begin(), order.end())) return *this;
  const Dims from = row_major_strides(dims_);
  Dims dims, strides;
  for (const int axis : order) {
    dims.push_back(dim(axis));
    strides.push_back(from[static_cast<size_t>(axis)]);
  }
  return {dims, strided(values(), dims, strides)};
}

IndexArray IndexArray::taken(int axis, std::span<const int64_t> index) const {
  const Around size = around(dims_, axis);
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(size.outer * size.inner) * index.size());
  for (int64_t o = 0; o < size.outer; ++o) {
    for (const int64_t i : index) {
      check(i >= 0 && i < size.length, "an index lies within its axis");
      const auto begin = values_->begin() + (o * size.length + i) * size.inner;
      out.insert(out.end(), begin, begin + size.inner);
    }
  }
  Dims dims = dims_;
  dims[static_cast<size_t>(axis)] = static_cast<int64_t>(index.size());
  return {std::move(dims), std::move(out)};
}

IndexArray IndexArray::front(int axis) const {
  const int64_t zero = 0;
  const IndexArray first = taken(axis, {&zero, 1});
  Dims dims = dims_;
  dims.erase(dims.begin() + axis);
  return first.reshaped(std::move(dims));
}

IndexArray IndexArray::broadcast_to(const Dims& dims) const {
  if (dims == dims_) return *this;
  check(dims.size() == dims_.size(), "broadcast index arrays have one rank");
  Dims strides = row_major_strides(dims_);
  for (size_t i = 0; i < dims.size(); ++i) {
    check(dims_[i] == dims[i] || dims_[i] == 1, "index arrays broadcast");
    if (dims_[i] != dims[i]) strides[i] = 0;
  }
  return {dims, strided(values(), dims, strides)};
}

IndexArray IndexArray::rows_along(int axis) const {
  std::vector<int> order;
  for (int i = 0; i < rank(); ++i) {
    if (i != axis) order.push_back(i);
  }
  order.push_back(axis);
  const int64_t n = dim(axis);
  return transposed(order).reshaped({n > 0 ? size() / n : 0, n});
}

bool IndexArray::constant_along(int axis) const {
  const Around size = around(dims_, axis);
  for (int64_t o = 0; o < size.outer; ++o) {
    const auto first = values_->begin() + o * size.length * size.inner;
    for (int64_t i = 1; i < size.length; ++i) {
      if (!std::equal(first, first + size.inner, first + i * size.inner)) return false;
    }
  }
  return true;
}

IndexArray IndexArray::sorted_along(int axis) const {
  const Around size = around(dims_, axis);
  std::vector<int32_t> out(*values_), row(static_cast<size_t>(size.length));
  for (int64_t o = 0; o < size.outer; ++o) {
    for (int64_t k = 0; k < size.inner; ++k) {
      const auto at = [&](int64_t i) { return static_cast<size_t>((o * size.length + i) * size.inner + k); };
      for (int64_t i = 0; i < size.length; ++i) row[static_cast<size_t>(i)] = out[at(i)];
      std::sort(row.begin(), row.end());
      for (int64_t i = 0; i < size.length; ++i) out[at(i)] = row[static_cast<size_t>(i)];
    }
  }
  return {dims_, std::move(out)};
}

IndexArray IndexArray::shifted(int32_t offset) const {
  if (offset == 0) return *this;
  std::vector<int32_t> out(*values_);
  for (int32_t& value : out) value += offset;
  return {dims_, std::move(out)};
}

IndexArray concatenate(const std::vector<IndexArray>& parts, int axis) {
  check(!parts.empty(), "something to concatenate");
  Dims dims = parts[0].dims();
  int64_t length = 0;
  for (const IndexArray& part : parts) length += part.dim(axis);
  dims[static_cast<size_t>(axis)] = length;
  const Around whole = around(dims, axis);
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(element_count(dims)));
  for (int64_t o = 0; o < whole.outer; ++o) {
    for (const IndexArray& part : parts) {
      const int64_t run = part.dim(axis) * whole.inner;
      const auto values = part.values().subspan(static_cast<size_t>(o * run), static_cast<size_t>(run));
      out.insert(out.end(), values.begin(), values.end());
    }
  }
  return {std::move(dims), std::move(out)};
}

void for_each_position(const Dims& dims, const std::function<void(const Dims&)>& body) {
  Dims at(dims.size(), 0);
  const int64_t count = element_count(dims);
  for (int64_t i = 0; i < count; ++i) {
    body(at);
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++at[axis] < dims[axis]) break;
      at[axis] = 0;
    }
  }
}

}  // namespace espalier
