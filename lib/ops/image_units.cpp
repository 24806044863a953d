#include "lib/ops/image_units.h"

#include "lib/ops/cut.h"
#include "lib/ops/resize.h"

namespace espalier {
namespace {

/// Where the `sizes` of a Resize stand; kNone where there are none.
ValueId sizes_of(const UnitNode& c) {
  if (c.op() != "Resize" || c.node().version < 11) return kNone;
  const ValueId v = c.input(3);
  return v != kNone && (!c.constant(v) || c.tensor(v).size() > 0) ? v : kNone;
}

/// An axis is kept as it is where its size is; a crop of the same size is not told apart and counts as mixed.
bool passes(const UnitNode& c, int axis) {
  const bool crop = c.node().get<std::string>("coordinate_transformation_mode", "") == "tf_crop_and_resize";
  return c.dim(c.input(0), axis) == c.dim(c.output(), axis) && !(crop && axis > 1);
}

}  // namespace

void units::resize(UnitContext& c) {
  const ValueId x = c.input(0);
  for (int axis = 0; axis < c.rank(x); ++axis) {
    if (!passes(c, axis)) c.freeze_axis(x, axis, c.op() + " mixes it");
  }
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) {
    if (passes(c, b.ragged)) result.push_back(b);
  }
  c.set(c.output(), std::move(result));
}

void cuts::resize(CutContext& c) {
  const ValueId x = c.input(0), sizes = sizes_of(c);
  if (sizes != kNone && !c.kept(x).empty()) {
    const auto axes = resize_axes(ResizeForm(c.node()), c.node(), c.rank(x));
    const Dims left = c.size(c.output(), c.kept(x));
    std::vector<int64_t> wanted;
    bool changed = false;
    for (const int64_t axis : axes) {
      wanted.push_back(left[static_cast<size_t>(axis)]);
      changed |= wanted.back() != c.dim(c.output(), static_cast<int>(axis));
    }
    if (changed) {
      if (!c.constant(sizes) || c.fact(sizes).bound) c.inexpressible(x, c.kept(x)[0].ragged, "sizes of " + c.op() + " are not constant");
      c.set_input(3, c.numbers(wanted, "sizes"));
    }
  }
  c.record(c.output(), c.kept(x));
}

void units::first_channels(UnitContext& c) {
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.active(c.input(i))) c.freeze_value(c.input(i), c.op() + " reads it as places");
  }
  if (!c.active(c.input(0))) return;
  const auto channels = c.channel_ids(c.input(0));
  c.set(c.output(), channels ? std::vector{Bundle::along(1, *channels)} : std::vector<Bundle>{});
}

void cuts::first_channels(CutContext& c) {
  for (size_t i = 1; i < c.input_count(); ++i) c.require_whole(c.input(i));
  c.record(c.output(), c.active(c.input(0)) ? c.kept(c.input(0)) : std::vector<Bundle>{});
}

void units::max_unpool(UnitContext& c) {
  const ValueId x = c.input(0), where = c.input(1), shape = c.input(2);
  if (!c.active(x) || !c.active(where) || (shape != kNone && !c.constant(shape))) return c.opaque();
  const auto channels = c.channel_ids(x), counted = c.channel_ids(where);
  if (!channels || !counted) {
    if (channels) c.freeze(*channels, c.op() + " has fixed indices");
    if (counted) c.freeze(*counted, c.op() + " unpools a fixed tensor");
    return c.set(c.output(), channels ? std::vector{Bundle::along(1, *channels)} : std::vector<Bundle>{});
  }
  c.units().unite(*channels, *counted);
  c.set(c.output(), {Bundle::along(1, *channels)});
}

void cuts::max_unpool(CutContext& c) {
  const ValueId x = c.input(0), where = c.input(1), shape = c.input(2);
  if (!c.active(x) || !c.active(where) || (shape != kNone && !c.constant(shape))) return c.opaque();
  // Indices count through the whole tensor: both sides must stand in the same order, and did so from the MaxPool on.
  if (!c.kept(x).empty() && !(c.order(x, 1) == c.order(where, 1))) c.inexpressible(x, 1, "MaxUnpool would need its indices counted anew");
  if (shape != kNone && !c.kept(x).empty()) {
    if (c.fact(shape).bound) c.inexpressible(x, 1, "output_shape of MaxUnpool is not constant");
    c.set_input(2, c.numbers(c.size(c.output(), c.kept(x)), "output_shape"));
  }
  c.record(c.output(), c.kept(x));
}

}  // namespace espalier
