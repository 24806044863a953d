#include "lib/ops/bundle.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "lib/base/error.h"

namespace espalier {

int Bundle::position(int axis) const {
  const auto found = std::find(axes.begin(), axes.end(), axis);
  return found == axes.end() ? -1 : static_cast<int>(found - axes.begin());
}

Bundle Bundle::moved(const std::function<int(int)>& mapping) const {
  std::vector<int> renamed, order(axes.size());
  for (const int axis : axes) renamed.push_back(mapping(axis));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return renamed[static_cast<size_t>(a)] < renamed[static_cast<size_t>(b)];
  });
  Bundle result{{}, ids.transposed(order), ragged < 0 ? -1 : mapping(ragged)};
  for (const int i : order) result.axes.push_back(renamed[static_cast<size_t>(i)]);
  return result;
}

Bundle Bundle::shifted_axes(int by) const {
  Bundle result = *this;
  if (by == 0) return result;
  for (int& axis : result.axes) axis += by;
  result.ragged += by;
  return result;
}

Bundle Bundle::taken(int axis, std::span<const int64_t> index) const {
  return {axes, ids.taken(position(axis), index), ragged};
}

Bundle Bundle::without(int axis) const {
  Bundle result{axes, ids.front(position(axis)), ragged};
  result.axes.erase(result.axes.begin() + position(axis));
  return result;
}

IndexArray spread(const Bundle& bundle, const std::vector<int>& axes, const Dims& sizes) {
  Dims view, full;
  for (const int axis : axes) {
    const int at = bundle.position(axis);
    view.push_back(at < 0 ? 1 : bundle.ids.dim(at));
    full.push_back(at < 0 ? sizes[static_cast<size_t>(axis)] : bundle.ids.dim(at));
  }
  return bundle.ids.reshaped(view).broadcast_to(full);
}

std::vector<int> merged_axes(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> result;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
  return result;
}

const Bundle* find_ragged(const std::vector<Bundle>& bundles, int axis) {
  for (const Bundle& bundle : bundles) {
    if (bundle.ragged == axis) return &bundle;
  }
  return nullptr;
}

int biggest_axis(const std::vector<int>& axes, const Dims& sizes) {
  check(!axes.empty(), "an axis to choose from");
  return *std::max_element(axes.begin(), axes.end(), [&](int a, int b) {
    return std::pair(sizes[static_cast<size_t>(a)], a) < std::pair(sizes[static_cast<size_t>(b)], b);
  });
}

}  // namespace espalier
