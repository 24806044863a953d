#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/tensor/shape.h"

namespace espalier {

/// A tensor on the host, row-major. A value: copies share their bytes until one of them is written.
/// Bytes may also belong to somebody else (a mapped file); writing then copies first.
class Tensor {
 public:
  /// No tensor: type undefined, no bytes.
  Tensor() = default;
  /// Zeros (empty strings). Throws Error(bad_data) for impossible sizes.
  Tensor(DataType type, Dims dims);
  /// A view of `bytes`, kept alive by `owner`. Throws Error(bad_data) unless bytes.size() is what dims need.
  Tensor(DataType type, Dims dims, std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

  template <class T>
  static Tensor of(Dims dims, const std::vector<T>& values);
  template <class T>
  static Tensor scalar(T value) { return of<T>({}, {value}); }
  static Tensor of_strings(Dims dims, std::vector<std::string> values);

  DataType type() const { return type_; }
  const Dims& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t size() const { return size_; }  ///< number of elements
  bool defined() const { return type_ != DataType::undefined; }

  /// The elements. Throws Error(internal) if T is not the element type. 4-bit types: use bytes().
  template <class T>
  std::span<const T> data() const;
  /// The elements, for writing; copies shared or foreign bytes first.
  template <class T>
  std::span<T> mutable_data();
  std::span<const std::string> strings() const;
  std::span<std::string> mutable_strings();

  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<std::byte> mutable_bytes();

  /// The same elements under other dims. Throws Error(internal) unless the counts agree.
  Tensor reshaped(Dims dims) const;
  /// Elements converted to another numeric type as ONNX Cast does (float to integer truncates).
  Tensor cast(DataType type) const;
  /// Integers of any integer type as int64, flat; Throws Error(bad_data) for other types.
  std::vector<int64_t> to_int64s() const;
  /// Numbers of any numeric type as double, flat.
  std::vector<double> to_doubles() const;

  /// Same type, dims and bits.
  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  void check_type(DataType wanted) const;

  DataType type_ = DataType::undefined;
  Dims dims_;
  int64_t size_ = 0;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;                  // of bytes_
  std::shared_ptr<std::vector<std::byte>> own_;        // set where the bytes are ours to write
  std::shared_ptr<std::vector<std::string>> strings_;  // set for type string
};

template <class T>
std::span<const T> Tensor::data() const {
  check_type(data_type_of<T>);
  return {reinterpret_cast<const T*>(bytes_.data()), static_cast<size_t>(size_)};
}

template <class T>
std::span<T> Tensor::mutable_data() {
  check_type(data_type_of<T>);
  return {reinterpret_cast<T*>(mutable_bytes().data()), static_cast<size_t>(size_)};
}

template <class T>
Tensor Tensor::of(Dims dims, const std::vector<T>& values) {
  Tensor result(data_type_of<T>, std::move(dims));
  check(static_cast<int64_t>(values.size()) == result.size(), "as many values as the dims say");
  auto out = result.mutable_data<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return result;
}

}  // namespace espalier
