#include "lib/graph/host_value.h"

#include <algorithm>

namespace espalier {
namespace {

bool tensor_agrees(const Type& declared, const Tensor& tensor) {
  if (declared.elem_type != DataType::undefined && declared.elem_type != tensor.type()) return false;
  if (!declared.has_rank()) return true;
  if (declared.rank() != tensor.rank()) return false;
  for (size_t i = 0; i < declared.dims->size(); ++i) {
    const Dim& dim = (*declared.dims)[i];
    if (dim.known() && !dim.is(tensor.dims()[i])) return false;
  }
  return true;
}

}  // namespace

HostValue::HostValue(Tensor tensor) : kind_(tensor.defined() ? Type::Kind::tensor : Type::Kind::unknown), tensor_(std::move(tensor)) {}

HostValue HostValue::sequence(Type element, std::vector<HostValue> elements) {
  HostValue result;
  result.kind_ = Type::Kind::sequence;
  result.element_type_ = std::make_shared<const Type>(std::move(element));
  result.elements_ = std::make_shared<const std::vector<HostValue>>(std::move(elements));
  return result;
}

HostValue HostValue::optional(HostValue held) {
  HostValue result = none(held.type());
  result.elements_ = std::make_shared<const std::vector<HostValue>>(1, std::move(held));
  return result;
}

HostValue HostValue::none(Type element) {
  HostValue result = sequence(std::move(element), {});
  result.kind_ = Type::Kind::optional;
  return result;
}

const Tensor& HostValue::tensor() const {
  check_kind(Type::Kind::tensor);
  return tensor_;
}

const std::vector<HostValue>& HostValue::elements() const {
  check_kind(Type::Kind::sequence);
  return *elements_;
}

bool HostValue::has_element() const {
  check_kind(Type::Kind::optional);
  return !elements_->empty();
}

const HostValue& HostValue::element() const {
  check(has_element(), "an optional that holds something");
  return elements_->front();
}

const Type& HostValue::element_type() const {
  check(element_type_ != nullptr, "a sequence or an optional");
  return *element_type_;
}

Type HostValue::type() const {
  if (is_tensor()) return Type::tensor(tensor_.type(), tensor_.dims());
  Type result;
  result.kind = kind_;
  result.element = element_type_;
  return result;
}

int64_t HostValue::byte_count() const {
  if (is_tensor()) return static_cast<int64_t>(tensor_.bytes().size());
  int64_t bytes = 0;
  if (elements_) {
    for (const HostValue& v : *elements_) bytes += v.byte_count();
  }
  return bytes;
}

bool operator==(const HostValue& a, const HostValue& b) {
  if (a.kind_ != b.kind_) return false;
  if (!a.elements_) return a.tensor_ == b.tensor_;
  return a.elements_ == b.elements_ || *a.elements_ == *b.elements_;
}

bool agrees(const Type& declared, const HostValue& value) {
  if (declared.kind == Type::Kind::unknown) return true;
  if (declared.kind == Type::Kind::optional && !value.is_optional()) {
    return value.defined() && (!declared.element || agrees(*declared.element, value));
  }
  if (declared.kind != value.type().kind) return false;
  if (declared.is_tensor()) return tensor_agrees(declared, value.tensor());
  if (!declared.element) return true;
  if (value.is_optional()) return !value.has_element() || agrees(*declared.element, value.element());
  if (!value.is_sequence()) return false;
  return std::all_of(value.elements().begin(), value.elements().end(),
                     [&](const HostValue& v) { return agrees(*declared.element, v); });
}

}  // namespace espalier
