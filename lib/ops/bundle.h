#pragma once

#include <functional>
#include <vector>

#include "lib/ops/index_array.h"

namespace espalier {

/// What stands along ONE axis (`ragged`) of a value, as an array over that axis and the axes it depends on (rows: heads,
/// groups). In the analysis the array holds ids of units; in the surgeon, original coordinates that are left, in their
/// present order. Bundles of a value may share row axes, but never a ragged one.
struct Bundle {
  std::vector<int> axes;  ///< ascending
  IndexArray ids;         ///< its axes are `axes`
  int ragged = -1;        ///< one of `axes`; -1 where no axis is left

  /// One axis, nothing else.
  static Bundle along(int axis, IndexArray ids) { return {{axis}, std::move(ids), axis}; }

  bool has(int axis) const { return position(axis) >= 0; }
  /// Where the axis stands in `axes`; -1 if it does not.
  int position(int axis) const;
  int ragged_position() const { return position(ragged); }
  int64_t length() const { return ids.dim(ragged_position()); }
  /// [rows, length].
  IndexArray rows() const { return ids.rows_along(ragged_position()); }
  /// The same on renamed axes, sorted anew.
  Bundle moved(const std::function<int(int)>& mapping) const;
  Bundle shifted_axes(int by) const;
  /// Positions `index` along an axis it has.
  Bundle taken(int axis, std::span<const int64_t> index) const;
  /// Without an axis: position 0 of it.
  Bundle without(int axis) const;
};

/// The array over a superset of the bundle's axes; an axis that the bundle lacks has sizes[axis].
IndexArray spread(const Bundle& bundle, const std::vector<int>& axes, const Dims& sizes);

/// Sorted union of two ascending lists.
std::vector<int> merged_axes(const std::vector<int>& a, const std::vector<int>& b);

/// The first bundle whose ragged axis is `axis`, or nullptr.
const Bundle* find_ragged(const std::vector<Bundle>& bundles, int axis);

/// Which axis of a split is pruned where nothing demands another: the largest, the last of equals.
int biggest_axis(const std::vector<int>& axes, const Dims& sizes);

}  // namespace espalier
