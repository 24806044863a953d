#include "lib/tensor/shape.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {

int64_t checked_add(int64_t a, int64_t b, const char* what) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) {
    throw Error(ErrorKind::bad_data, std::string(what) + " overflows: " + std::to_string(a) + " + " + std::to_string(b));
  }
  return result;
}

int64_t checked_mul(int64_t a, int64_t b, const char* what) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) {
    throw Error(ErrorKind::bad_data, std::string(what) + " overflows: " + std::to_string(a) + " * " + std::to_string(b));
  }
  return result;
}

int64_t element_count(const Dims& dims) {
  if (dims.size() > kMaxRank) {
    throw Error(ErrorKind::bad_data, "rank is " + std::to_string(dims.size()) + ", expected at most 64");
  }
  int64_t count = 1;
  for (const int64_t d : dims) {
    if (d < 0) throw Error(ErrorKind::bad_data, "negative size in shape " + to_string(dims));
    count = checked_mul(count, d, "number of elements");
  }
  return count;
}

int64_t byte_count(DataType type, const Dims& dims) {
  const int64_t bits = checked_mul(element_count(dims), bit_width(type), "number of bytes");
  return bits / 8 + (bits % 8 != 0);
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

int64_t normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    throw Error(ErrorKind::bad_data, "axis is " + std::to_string(axis) + ", expected one in [" +
                                         std::to_string(-rank) + ", " + std::to_string(rank) + ")");
  }
  return axis < 0 ? axis + rank : axis;
}

Dims broadcast(const Dims& a, const Dims& b) {
  Dims result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      throw Error(ErrorKind::bad_data, "shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace espalier
