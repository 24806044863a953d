#pragma once

#include <memory>
#include <vector>

#include "lib/base/error.h"
#include "lib/graph/type.h"
#include "lib/tensor/tensor.h"

namespace espalier {

/// A value on the host: a tensor, a sequence of values, or an optional that holds a value or nothing.
/// A value type: copies share what they hold. The accessors throw Error(internal) for another kind than they name.
class HostValue {
 public:
  HostValue() = default;  ///< nothing: an omitted output
  HostValue(Tensor tensor);
  /// `element`: the type that every element has, as far as it is known.
  static HostValue sequence(Type element, std::vector<HostValue> elements);
  static HostValue optional(HostValue held);
  static HostValue none(Type element);  ///< an optional that holds nothing

  bool defined() const { return kind_ != Type::Kind::unknown; }
  bool is_tensor() const { return kind_ == Type::Kind::tensor; }
  bool is_sequence() const { return kind_ == Type::Kind::sequence; }
  bool is_optional() const { return kind_ == Type::Kind::optional; }

  const Tensor& tensor() const;
  const std::vector<HostValue>& elements() const;  ///< of a sequence
  bool has_element() const;                        ///< of an optional
  const HostValue& element() const;                ///< what the optional holds
  /// Type of a sequence's elements or of what an optional may hold.
  const Type& element_type() const;

  Type type() const;
  /// Bytes of all tensors inside.
  int64_t byte_count() const;
  /// Same kind, same elements bit for bit.
  friend bool operator==(const HostValue& a, const HostValue& b);

 private:
  void check_kind(Type::Kind wanted) const { check(kind_ == wanted, "a value of the kind that is read"); }

  Type::Kind kind_ = Type::Kind::unknown;
  Tensor tensor_;
  std::shared_ptr<const Type> element_type_;
  std::shared_ptr<const std::vector<HostValue>> elements_;
};

/// Whether a value may stand where `declared` is written: same kind, element type and rank, and no known size differs.
/// An unknown part of the type agrees with everything; what an optional may hold may stand in its place, as in ONNX's Loop.
bool agrees(const Type& declared, const HostValue& value);

}  // namespace espalier
