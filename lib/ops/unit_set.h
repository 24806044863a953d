#pragma once

#include <string>
#include <vector>

#include "lib/ops/index_array.h"

namespace espalier {

/// Classes of joined ids (union-find on arrays). A unit is a class and goes or stays whole; its root is its smallest id.
class UnitSet {
 public:
  /// New ids, each a class of its own.
  IndexArray fresh(const Dims& dims);
  int32_t size() const { return static_cast<int32_t>(parent_.size()); }

  int32_t find(int32_t id) const;
  IndexArray find(const IndexArray& ids) const;
  /// Joins position by position after numpy broadcasting. A frozen side freezes the class; the root's reason stays.
  void unite(const IndexArray& a, const IndexArray& b);
  /// How often two classes became one.
  int64_t unions() const { return unions_; }

  /// The first reason of a class stays.
  void freeze(const IndexArray& ids, const std::string& reason);
  bool frozen(int32_t id) const { return reason_of_[static_cast<size_t>(find(id))] >= 0; }
  /// Why the class of `id` is frozen; empty if it is free.
  const std::string& reason(int32_t id) const;
  /// Distinct classes among `ids` that are free.
  int64_t count_free(const IndexArray& ids) const;

 private:
  void unite(int32_t a, int32_t b);

  mutable std::vector<int32_t> parent_;
  std::vector<int32_t> reason_of_;  // by root; -1: free
  std::vector<std::string> reasons_;
  int64_t unions_ = 0;
};

}  // namespace espalier
