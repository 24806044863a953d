#include "lib/ops/unit_set.h"

#include <algorithm>
#include <limits>

#include "lib/base/error.h"

namespace espalier {

IndexArray UnitSet::fresh(const Dims& dims) {
  const int64_t begin = size(), end = begin + element_count(dims);
  if (end > std::numeric_limits<int32_t>::max()) {
    throw Error(ErrorKind::bad_data, "the model has more than 2^31 channels and flattened positions");
  }
  const IndexArray ids = IndexArray::range(begin, end);
  parent_.insert(parent_.end(), ids.values().begin(), ids.values().end());
  reason_of_.resize(parent_.size(), -1);
  return ids.reshaped(dims);
}

int32_t UnitSet::find(int32_t id) const {
  auto i = static_cast<size_t>(id);
  while (parent_[i] != static_cast<int32_t>(i)) {
    parent_[i] = parent_[static_cast<size_t>(parent_[i])];
    i = static_cast<size_t>(parent_[i]);
  }
  return static_cast<int32_t>(i);
}

IndexArray UnitSet::find(const IndexArray& ids) const {
  std::vector<int32_t> roots;
  roots.reserve(static_cast<size_t>(ids.size()));
  for (const int32_t id : ids.values()) roots.push_back(find(id));
  return {ids.dims(), std::move(roots)};
}

void UnitSet::unite(const IndexArray& a, const IndexArray& b) {
  if (a.same_object(b)) return;
  const Dims dims = broadcast(a.dims(), b.dims());
  const IndexArray wide_a = a.broadcast_to(dims), wide_b = b.broadcast_to(dims);
  for (int64_t i = 0; i < wide_a.size(); ++i) unite(wide_a[i], wide_b[i]);
}

void UnitSet::unite(int32_t a, int32_t b) {
  a = find(a);
  b = find(b);
  if (a == b) return;
  const int32_t root = std::min(a, b), child = std::max(a, b);
  parent_[static_cast<size_t>(child)] = root;
  int32_t& reason = reason_of_[static_cast<size_t>(root)];
  if (reason < 0) reason = reason_of_[static_cast<size_t>(child)];
  ++unions_;
}

void UnitSet::freeze(const IndexArray& ids, const std::string& reason) {
  if (ids.size() == 0) return;
  const auto known = std::find(reasons_.begin(), reasons_.end(), reason);
  const auto index = static_cast<int32_t>(known - reasons_.begin());
  if (known == reasons_.end()) reasons_.push_back(reason);
  for (const int32_t id : ids.values()) {
    int32_t& current = reason_of_[static_cast<size_t>(find(id))];
    if (current < 0) current = index;
  }
}

const std::string& UnitSet::reason(int32_t id) const {
  static const std::string none;
  const int32_t index = reason_of_[static_cast<size_t>(find(id))];
  return index < 0 ? none : reasons_[static_cast<size_t>(index)];
}

int64_t UnitSet::count_free(const IndexArray& ids) const {
  std::vector<int32_t> roots;
  for (const int32_t id : ids.values()) {
    if (!frozen(id)) roots.push_back(find(id));
  }
  std::sort(roots.begin(), roots.end());
  return std::unique(roots.begin(), roots.end()) - roots.begin();
}

}  // namespace espalier
