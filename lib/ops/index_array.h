#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/tensor/shape.h"

namespace espalier {

/// A dense n-d array of int32, row-major: ids of units, or coordinates along an axis. A value; copies share their elements.
class IndexArray {
 public:
  IndexArray() : IndexArray(Dims{0}, {}) {}
  /// Throws Error(internal) unless there are as many values as the dims say.
  IndexArray(Dims dims, std::vector<int32_t> values);
  /// [begin, end), one axis.
  static IndexArray range(int64_t begin, int64_t end);

  const Dims& dims() const { return dims_; }
  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t dim(int axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t size() const { return static_cast<int64_t>(values_->size()); }
  std::span<const int32_t> values() const { return *values_; }
  int32_t operator[](int64_t i) const { return (*values_)[static_cast<size_t>(i)]; }
  /// The very same elements in the same order and shape, seen without comparing them.
  bool same_object(const IndexArray& other) const { return values_ == other.values_ && dims_ == other.dims_; }
  friend bool operator==(const IndexArray& a, const IndexArray& b) {
    return a.dims_ == b.dims_ && (a.values_ == b.values_ || *a.values_ == *b.values_);
  }

  IndexArray reshaped(Dims dims) const;
  /// Axis i of the result is axis order[i] of this.
  IndexArray transposed(const std::vector<int>& order) const;
  /// The positions `index` of an axis, in that order.
  IndexArray taken(int axis, std::span<const int64_t> index) const;
  /// Position 0 of an axis, which is dropped.
  IndexArray front(int axis) const;
  /// numpy broadcasting to `dims`, rank equal; shares where nothing is repeated.
  IndexArray broadcast_to(const Dims& dims) const;
  /// [rows, n]: `axis` last, the others flattened.
  IndexArray rows_along(int axis) const;
  bool constant_along(int axis) const;
  /// Each row along `axis` in ascending order.
  IndexArray sorted_along(int axis) const;
  /// Every element plus `offset`.
  IndexArray shifted(int32_t offset) const;

 private:
  Dims dims_;
  std::shared_ptr<const std::vector<int32_t>> values_;
};

/// Joined along `axis`; the other axes agree.
IndexArray concatenate(const std::vector<IndexArray>& parts, int axis);

/// Visits all positions of `dims` in row-major order: body(position of each axis).
void for_each_position(const Dims& dims, const std::function<void(const Dims&)>& body);

}  // namespace espalier
