#include <algorithm>
#include <numeric>

#include "lib/ops/cut.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

/// Axes that a reduction takes; nothing where they are not constant.
std::optional<std::vector<int>> reduced_axes(const UnitNode& c) {
  bool unknown = false;
  const auto axes = c.integers("axes", 1, c.op() == "ReduceSum" ? 13 : 18, &unknown);
  if (unknown) return std::nullopt;
  const int rank = c.rank(c.input(0));
  std::vector<int> result;
  if (axes && !axes->empty()) {
    for (const int64_t a : *axes) result.push_back(c.axis(a, rank));
  } else if (c.node().get<int64_t>("noop_with_empty_axes", 0) == 0) {
    for (int a = 0; a < rank; ++a) result.push_back(a);
  }
  return result;
}

bool among(const std::vector<int>& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

/// What passes a reduction, on the output's axes.
std::vector<Bundle> passing(const UnitNode& c, const std::vector<Bundle>& bundles, const std::vector<int>& axes) {
  std::vector<Bundle> result;
  for (const Bundle& b : bundles) {
    if (among(axes, b.ragged)) continue;
    if (c.node().get<int64_t>("keepdims", 1) != 0) {
      result.push_back(b);
      continue;
    }
    result.push_back(b.moved([&](int axis) {
      return axis - static_cast<int>(std::count_if(axes.begin(), axes.end(), [&](int gone) { return gone < axis; }));
    }));
  }
  return result;
}

}  // namespace

void units::reduce_sum(UnitContext& c) {
  const ValueId x = c.input(0);
  const auto axes = reduced_axes(c);
  if (!axes) return c.opaque();
  for (const int axis : *axes) c.collapse_rows(x, axis);
  for (const Bundle& b : c.bundles(x)) {
    if (among(*axes, b.ragged)) c.activation_sink(0, b);
  }
  c.set(c.output(), passing(c, c.bundles(x), *axes));
}

void units::reduce(UnitContext& c) {
  const ValueId x = c.input(0);
  const auto axes = reduced_axes(c);
  if (!axes) return c.opaque();
  for (const int axis : *axes) c.freeze_axis(x, axis, c.op() + " over it");
  c.set(c.output(), passing(c, c.bundles(x), *axes));
}

void cuts::reduce(CutContext& c) {
  const ValueId x = c.input(0), out = c.output();
  const auto axes = reduced_axes(c);
  if (!axes) return c.opaque();
  double left = 1;
  const Dims now = c.size(x);
  for (const int axis : *axes) {
    left *= static_cast<double>(now[static_cast<size_t>(axis)]) / static_cast<double>(c.dim(x, axis));
  }
  const DataType type = c.fact(x).type;
  if (c.op() == "ReduceMean" && left != 1) {  // the divisor stays the original count
    if (!is_float(type)) c.inexpressible(x, (*axes)[0], "ReduceMean of integers");
    const ValueId mean = c.interpose(0, "__mean");
    c.after("Mul", {mean, c.constant_like(Tensor::scalar(left).cast(type), "kept_share")}, {}, out);
  }
  c.record(out, passing(c, c.kept(x), *axes));
}

}  // namespace espalier
