#include "lib/tensor/tensor.h"

#include <cstring>

#include "lib/base/error.h"
#include "lib/tensor/dispatch.h"

namespace espalier {

Tensor::Tensor(DataType type, Dims dims) : type_(type), dims_(std::move(dims)), size_(element_count(dims_)) {
  if (type == DataType::string) {
    strings_ = std::make_shared<std::vector<std::string>>(size_);
    return;
  }
  own_ = std::make_shared<std::vector<std::byte>>(byte_count(type, dims_));
  bytes_ = *own_;
}

Tensor::Tensor(DataType type, Dims dims, std::span<const std::byte> bytes, std::shared_ptr<const void> owner)
    : type_(type), dims_(std::move(dims)), size_(element_count(dims_)), bytes_(bytes), owner_(std::move(owner)) {
  const int64_t needed = byte_count(type, dims_);
  if (bit_width(type) == 0 || static_cast<int64_t>(bytes.size()) != needed) {
    throw Error(ErrorKind::bad_data, "tensor " + std::string(name(type)) + to_string(dims_) + " has " +
                                         std::to_string(bytes.size()) + " bytes, expected " + std::to_string(needed));
  }
}

Tensor Tensor::of_strings(Dims dims, std::vector<std::string> values) {
  Tensor result(DataType::string, std::move(dims));
  check(static_cast<int64_t>(values.size()) == result.size_, "as many strings as the dims say");
  *result.strings_ = std::move(values);
  return result;
}

std::span<std::byte> Tensor::mutable_bytes() {
  check(type_ != DataType::string, "strings are not bytes");
  if (!own_ || own_.use_count() > 1) {
    own_ = std::make_shared<std::vector<std::byte>>(bytes_.begin(), bytes_.end());
    owner_.reset();
    bytes_ = *own_;
  }
  return *own_;
}

std::span<const std::string> Tensor::strings() const {
  check_type(DataType::string);
  return *strings_;
}

std::span<std::string> Tensor::mutable_strings() {
  check_type(DataType::string);
  if (strings_.use_count() > 1) strings_ = std::make_shared<std::vector<std::string>>(*strings_);
  return *strings_;
}

void Tensor::check_type(DataType wanted) const {
  if (type_ != wanted) {
    throw Error(ErrorKind::internal, "tensor is read as " + std::string(name(wanted)) + ", but is " +
                                         std::string(name(type_)) + to_string(dims_));
  }
}

Tensor Tensor::reshaped(Dims dims) const {
  if (element_count(dims) != size_) {
    throw Error(ErrorKind::internal, "cannot reshape " + to_string(dims_) + " to " + to_string(dims));
  }
  Tensor result = *this;
  result.dims_ = std::move(dims);
  return result;
}

Tensor Tensor::cast(DataType type) const {
  if (type == type_) return *this;
  Tensor result(type, dims_);
  dispatch_numeric(type_, [&]<class From>() {
    dispatch_numeric(type, [&]<class To>() {
      const auto in = data<From>();
      const auto out = result.mutable_data<To>();
      for (size_t i = 0; i < in.size(); ++i) out[i] = convert<To>(in[i]);
    });
  });
  return result;
}

std::vector<int64_t> Tensor::to_int64s() const {
  if (!is_integer(type_) && type_ != DataType::boolean) {
    throw Error(ErrorKind::bad_data, "tensor is " + std::string(name(type_)) + ", expected integers");
  }
  const Tensor wide = cast(DataType::int64);
  const auto values = wide.data<int64_t>();
  return {values.begin(), values.end()};
}

std::vector<double> Tensor::to_doubles() const {
  const Tensor wide = cast(DataType::float64);
  const auto values = wide.data<double>();
  return {values.begin(), values.end()};
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.type_ != b.type_ || a.dims_ != b.dims_) return false;
  if (a.type_ == DataType::string) return *a.strings_ == *b.strings_;
  return a.bytes_.size() == b.bytes_.size() &&
         (a.bytes_.empty() || std::memcmp(a.bytes_.data(), b.bytes_.data(), a.bytes_.size()) == 0);
}

}  // namespace espalier
