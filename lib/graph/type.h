#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/graph/dim.h"

namespace espalier {

/// Type of a value, as far as it is known.
struct Type {
  enum class Kind { unknown, tensor, sparse_tensor, sequence, optional, map };

  Kind kind = Kind::unknown;
  DataType elem_type = DataType::undefined;  ///< of a (sparse) tensor; the key type of a map
  std::optional<SymbolicDims> dims;          ///< of a (sparse) tensor; absent where the rank is not known
  std::shared_ptr<const Type> element;       ///< of a sequence, optional or map

  static Type tensor(DataType elem_type) { return {Kind::tensor, elem_type, std::nullopt, nullptr}; }
  static Type tensor(DataType elem_type, SymbolicDims dims) { return {Kind::tensor, elem_type, std::move(dims), nullptr}; }
  static Type tensor(DataType elem_type, const Dims& dims) { return tensor(elem_type, to_symbolic(dims)); }

  bool is_tensor() const { return kind == Kind::tensor; }
  bool has_rank() const { return dims.has_value(); }
  int64_t rank() const { return static_cast<int64_t>(dims->size()); }
  /// The sizes if the rank and all sizes are known.
  std::optional<Dims> known_dims() const { return dims ? to_known(*dims) : std::nullopt; }

  /// "float[batch,3,32,32]", "float[...]" where the rank is unknown, "?" for an unknown type.
  std::string str() const;
  bool same_as(const Type& other) const;
};

}  // namespace espalier
