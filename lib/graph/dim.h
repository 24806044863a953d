#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/tensor/shape.h"

namespace espalier {

/// A size that may be known, symbolic (a polynomial in named symbols: `batch`, `2*h+1`) or unknown.
/// A value type. Two symbolic sizes are equal if their polynomials are; an unknown size equals nothing, itself included
/// (use same_as to compare as values).
class Dim {
 public:
  Dim() = default;  ///< unknown
  Dim(int64_t size) { terms_.emplace(); if (size != 0) (*terms_)[{}] = size; }
  static Dim symbol(const std::string& name);

  bool unknown() const { return !terms_; }
  bool known() const { return terms_ && (terms_->empty() || (terms_->size() == 1 && terms_->begin()->first.empty())); }
  /// The size. Throws Error(internal) unless known().
  int64_t value() const;
  bool is(int64_t size) const { return known() && value() == size; }
  /// The symbol's name, if this is one symbol and nothing else.
  std::optional<std::string> symbol_name() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  /// floor(a / divisor), divisor > 0: exact where every coefficient divides, else a symbol of its own.
  friend Dim floor_div(const Dim& a, int64_t divisor);
  /// a / b where the polynomials divide (integers, or a common monomial); nothing otherwise.
  friend std::optional<Dim> exact_div(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b) { return a.terms_ && b.terms_ && a.terms_ == b.terms_; }
  bool same_as(const Dim& other) const { return terms_ == other.terms_; }

  /// The size with symbols replaced; symbols that are not named stay.
  Dim substitute(const std::map<std::string, int64_t>& symbols) const;

  /// "32", "batch", "2*h+1", "?" for unknown.
  std::string str() const;

 private:
  using Monomial = std::vector<std::string>;  // sorted names, with repeats; empty: the constant
  std::optional<std::map<Monomial, int64_t>> terms_;  // no zero coefficients
};

/// Sizes of a tensor's axes.
using SymbolicDims = std::vector<Dim>;

SymbolicDims to_symbolic(const Dims& dims);
/// The sizes if all are known.
std::optional<Dims> to_known(const SymbolicDims& dims);
/// Product of the sizes.
Dim product(const SymbolicDims& dims);
/// "[batch,3,32,32]".
std::string to_string(const SymbolicDims& dims);

}  // namespace espalier
