#include "lib/graph/type.h"

namespace espalier {

std::string Type::str() const {
  const auto inner = [this] { return element ? element->str() : std::string("?"); };
  switch (kind) {
    case Kind::unknown: return "?";
    case Kind::tensor: return std::string(name(elem_type)) + (dims ? to_string(*dims) : "[...]");
    case Kind::sparse_tensor: return "sparse " + std::string(name(elem_type)) + (dims ? to_string(*dims) : "[...]");
    case Kind::sequence: return "sequence(" + inner() + ")";
    case Kind::optional: return "optional(" + inner() + ")";
    case Kind::map: return "map(" + std::string(name(elem_type)) + ", " + inner() + ")";
  }
  return "?";
}

bool Type::same_as(const Type& other) const {
  if (kind != other.kind || elem_type != other.elem_type || dims.has_value() != other.dims.has_value()) return false;
  if (dims) {
    if (dims->size() != other.dims->size()) return false;
    for (size_t i = 0; i < dims->size(); ++i) {
      if (!(*dims)[i].same_as((*other.dims)[i])) return false;
    }
  }
  if (!element || !other.element) return element == other.element;
  return element->same_as(*other.element);
}

}  // namespace espalier
