#include "lib/ops/unit_rules_movement.h"

#include <algorithm>

#include "lib/ops/cut.h"
#include "lib/ops/cut_weight.h"

namespace espalier {
namespace {

bool among(const std::vector<int>& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

/// An axis of a value that loses nothing, yet whose order matters: nothing may have moved along it.
void require_order(const CutContext& c, ValueId v, int axis) {
  if (v != kNone && c.active(v) && find_ragged(c.kept(v), axis)) c.inexpressible(v, axis, c.op() + " needs the order of its axis");
}

template <class Keep>
std::vector<Bundle> chosen(const std::vector<Bundle>& bundles, Keep&& keep) {
  std::vector<Bundle> result;
  std::copy_if(bundles.begin(), bundles.end(), std::back_inserter(result), keep);
  return result;
}

template <class Move>
std::vector<Bundle> moved(const std::vector<Bundle>& bundles, Move&& move) {
  std::vector<Bundle> result;
  for (const Bundle& b : bundles) result.push_back(b.moved(move));
  return result;
}

/// What an active operand brings to a join: its sizes and bundles on the axes of the result, size 1 where it has no say.
struct View {
  Dims sizes;
  std::vector<Bundle> bundles;
};

/// Joins position by position on the axes of a result of `sizes`; where one view bears ids along an axis and another one is wide
/// without, the ids are frozen.
std::vector<Bundle> join(UnitContext& c, const Dims& sizes, const std::vector<View>& views) {
  const auto same_choice = [](const Bundle& a, const Bundle& b) { return a.has(b.ragged) && b.has(a.ragged); };
  std::vector<Bundle> result;
  for (const View& view : views) {
    for (const Bundle& b : view.bundles) {
      const auto same = std::find_if(result.begin(), result.end(), [&](const Bundle& r) { return r.ragged == b.ragged || same_choice(r, b); });
      if (same == result.end()) {
        result.push_back(b);
        continue;
      }
      const std::vector<int> axes = merged_axes(same->axes, b.axes);
      const IndexArray wide = spread(*same, axes, sizes);
      c.units().unite(wide, spread(b, axes, sizes));
      *same = {axes, wide, same->ragged};
    }
  }
  for (const Bundle& r : result) {
    for (const View& view : views) {
      const auto bears = [&](const Bundle& b) { return b.ragged == r.ragged || same_choice(r, b); };
      const bool wide = view.sizes[static_cast<size_t>(r.ragged)] > 1;
      if (wide && std::none_of(view.bundles.begin(), view.bundles.end(), bears)) c.freeze(r.ids, c.op() + " joins it with a fixed axis");
    }
  }
  return result;
}

/// Of GatherElements and ScatterElements: the axis, and axes of which the indices take only a part.
std::vector<int> indexed_axes(const UnitNode& c) {
  const ValueId x = c.input(0), indices = c.input(1);
  std::vector<int> result = {c.axis(c.node().get<int64_t>("axis", 0), c.rank(x))};
  for (int a = 0; a < c.rank(x); ++a) {
    if (a != result[0] && c.dim(x, a) != c.dim(indices, a)) result.push_back(a);
  }
  return result;
}

/// Freezes the indexed axes of every active operand and gives the views that join along the others.
std::vector<View> element_views(UnitContext& c, const std::vector<int>& indexed, size_t first, const std::string& reason) {
  for (size_t i = 0; i < c.input_count(); ++i) {
    for (const int a : indexed) {
      if (c.active(c.input(i))) c.freeze_axis(c.input(i), a, reason);
    }
  }
  std::vector<View> views;
  for (size_t i = first; i < c.input_count(); ++i) {
    const ValueId v = c.input(i);
    if (!c.active(v)) continue;
    View view{c.dims(v), chosen(c.bundles(v), [&](const Bundle& b) { return !among(indexed, b.ragged); })};
    for (const int a : indexed) view.sizes[static_cast<size_t>(a)] = 1;
    views.push_back(std::move(view));
  }
  return views;
}

/// Constants among the operands are taken along what is left of the result.
void follow_constants(CutContext& c, const std::vector<Bundle>& left) {
  for (size_t i = 0; i < c.input_count(); ++i) {
    const ValueId v = c.input(i);
    if (left.empty() || !c.constant(v)) continue;
    const ValueId cut = cut_weight(c, v, [&](const Tensor& t) { return c.follow(t, left, 0); });
    if (cut != v) c.set_input(i, cut);
  }
}

void cut_elements(CutContext& c) {
  const std::vector<int> indexed = indexed_axes(c);
  for (size_t i = 0; i < c.input_count(); ++i) {
    for (const int a : indexed) require_order(c, c.input(i), a);
  }
  std::vector<size_t> all;
  for (size_t i = 0; i < c.input_count(); ++i) all.push_back(i);
  std::vector<Bundle> left = c.join(c.output(), all, indexed[0]);
  follow_constants(c, left);
  c.record(c.output(), std::move(left));
}

/// Of GatherND and ScatterND: how many leading axes of the data are indexed or batch, and how many of the indices and updates
/// stand before the runs.
struct Tuples {
  int data, updates;
};

Tuples tuples(const UnitNode& c) {
  const int batch = c.op() == "GatherND" ? static_cast<int>(c.node().get<int64_t>("batch_dims", 0)) : 0;
  const int rank = c.rank(c.input(1));
  return {batch + static_cast<int>(c.dim(c.input(1), rank - 1)), rank - 1};
}

void freeze_leading(UnitContext& c, ValueId v, int count, const std::string& reason) {
  for (int a = 0; c.active(v) && a < count; ++a) c.freeze_axis(v, a, reason);
}

}  // namespace

void units::gather_elements(UnitContext& c) {
  const auto views = element_views(c, indexed_axes(c), 0, "GatherElements picks from it by index");
  c.set(c.output(), join(c, c.dims(c.output()), views));
}

void cuts::gather_elements(CutContext& c) { cut_elements(c); }

void units::scatter_elements(UnitContext& c) {
  const ValueId x = c.input(0);
  const std::vector<int> indexed = indexed_axes(c);
  auto views = element_views(c, indexed, 0, c.op() + " writes to it by index");
  std::vector<Bundle> result = join(c, c.dims(x), views);
  for (const Bundle& b : c.bundles(x)) {
    if (c.active(x) && among(indexed, b.ragged)) result.push_back(b);
  }
  c.set(c.output(), std::move(result));
}

void cuts::scatter_elements(CutContext& c) { cut_elements(c); }

void units::gather_nd(UnitContext& c) {
  const ValueId x = c.input(0);
  const Tuples t = tuples(c);
  if (c.active(c.input(1))) c.freeze_value(c.input(1), "GatherND index");
  if (!c.active(x)) return c.set(c.output(), {});
  freeze_leading(c, x, t.data, "GatherND picks from it by index");
  const auto passing = chosen(c.bundles(x), [&](const Bundle& b) { return b.ragged >= t.data; });
  const int by = c.rank(c.output()) - c.rank(x);
  c.set(c.output(), moved(passing, [&](int a) { return a + by; }));
}

void cuts::gather_nd(CutContext& c) {
  const ValueId x = c.input(0);
  const Tuples t = tuples(c);
  c.require_whole(c.input(1));
  for (int a = 0; a < t.data; ++a) require_order(c, x, a);
  const int by = c.rank(c.output()) - c.rank(x);
  c.record(c.output(), moved(c.kept(x), [&](int a) { return a + by; }));
}

void units::scatter_nd(UnitContext& c) {
  const ValueId x = c.input(0), updates = c.input(2);
  const Tuples t = tuples(c);
  const std::string reason = "ScatterND writes to it by index";
  if (c.active(c.input(1))) c.freeze_value(c.input(1), "ScatterND index");
  freeze_leading(c, x, t.data, reason);
  freeze_leading(c, updates, t.updates, reason);
  std::vector<View> views;
  if (c.active(x)) views.push_back({c.dims(x), c.bundles(x)});
  if (c.active(updates)) {
    View view{Dims(c.dims(x).size(), 1), chosen(c.bundles(updates), [&](const Bundle& b) { return b.ragged >= t.updates; })};
    view.bundles = moved(view.bundles, [&](int a) { return a - t.updates + t.data; });
    std::copy(c.dims(x).begin() + t.data, c.dims(x).end(), view.sizes.begin() + t.data);
    views.push_back(std::move(view));
  }
  c.set(c.output(), join(c, c.dims(x), views));
}

void cuts::scatter_nd(CutContext& c) {
  const ValueId x = c.input(0), updates = c.input(2);
  const Tuples t = tuples(c);
  const int by = t.data - t.updates;
  c.require_whole(c.input(1));
  for (int a = 0; a < t.data; ++a) require_order(c, x, a);
  for (int a = 0; a < t.updates; ++a) require_order(c, updates, a);
  std::vector<Bundle> left = c.active(x) ? c.kept(x) : std::vector<Bundle>{};
  if (c.active(updates)) {
    for (const Bundle& k : c.kept(updates)) {
      if (!find_ragged(left, k.ragged + by)) left.push_back(k.shifted_axes(by));
    }
  }
  const auto bring = [&](size_t i, int shift) {
    const ValueId v = c.input(i);
    std::vector<Bundle> wanted;
    for (const Bundle& k : left) wanted.push_back(k.shifted_axes(-shift));
    if (c.constant(v)) {
      if (!wanted.empty()) c.set_input(i, cut_weight(c, v, [&](const Tensor& whole) { return c.follow(whole, wanted, 0); }));
      return;
    }
    ValueId now = c.current(i);
    for (const Bundle& k : wanted) now = c.reorder(v, now, c.along(v, k.ragged), k, "ScatterND joins two orders");
    c.set_input(i, now);
  };
  bring(0, 0);
  bring(2, by);
  c.record(c.output(), std::move(left));
}

void units::tile(UnitContext& c) {
  const ValueId x = c.input(0), out = c.output();
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (!c.constant(c.input(i))) return c.opaque();
  }
  std::vector<Bundle> result = c.bundles(x);
  for (Bundle& b : result) {
    for (const int a : std::vector<int>(b.axes)) {
      std::vector<int64_t> index;
      for (int64_t i = 0; i < c.dim(out, a); ++i) index.push_back(i % c.dim(x, a));
      if (c.dim(out, a) != c.dim(x, a)) b = b.taken(a, index);
    }
  }
  c.set(out, std::move(result));
}

/// The repeats stay; coordinates of repetition t lie behind t whole axes.
void cuts::tile(CutContext& c) {
  const ValueId x = c.input(0), out = c.output();
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (!c.constant(c.input(i))) return c.opaque();
  }
  std::vector<Bundle> result;
  for (Bundle k : c.kept(x)) {
    for (const int a : std::vector<int>(k.axes)) {
      const int64_t size = c.dim(x, a), times = c.dim(out, a) / size;
      std::vector<IndexArray> parts;
      for (int64_t t = 0; t < times; ++t) parts.push_back(a == k.ragged ? k.ids.shifted(static_cast<int32_t>(t * size)) : k.ids);
      if (times > 1) k.ids = concatenate(parts, k.position(a));
    }
    result.push_back(std::move(k));
  }
  c.record(out, std::move(result));
}

namespace {

/// The axis that an op counts; nothing where it is no constant.
std::optional<int> counted(const UnitNode& c) {
  const int rank = c.rank(c.input(0));
  if (c.op() != "CumSum") return c.axis(c.node().get<int64_t>("axis", c.op() == "TopK" ? -1 : 0), rank);
  if (!c.constant(c.input(1)) || c.tensor(c.input(1)).size() != 1) return std::nullopt;
  return c.axis(c.tensor(c.input(1)).to_int64s()[0], rank);
}

/// What passes beside the counted axis. CumSum's result has its positions still.
std::vector<Bundle> beside(const UnitNode& c, const std::vector<Bundle>& bundles, int axis) {
  if (c.op() == "CumSum") return bundles;
  const bool drops = c.op() != "TopK" && c.node().get<int64_t>("keepdims", 1) == 0;
  const auto passing = chosen(bundles, [&](const Bundle& b) { return b.ragged != axis; });
  return moved(passing, [&](int a) { return drops && a > axis ? a - 1 : a; });
}

}  // namespace

void units::counted_axis(UnitContext& c) {
  const ValueId x = c.input(0);
  const auto axis = counted(c);
  if (!axis) return c.opaque();
  c.freeze_axis(x, *axis, c.op() + (c.op() == "CumSum" ? " runs over it" : " over it"));
  for (size_t i = 0; i < c.output_count(); ++i) c.set(c.output(i), beside(c, c.bundles(x), *axis));
}

void cuts::counted_axis(CutContext& c) {
  const ValueId x = c.input(0);
  const auto axis = counted(c);
  if (!axis) return c.opaque();
  require_order(c, x, *axis);
  for (size_t i = 0; i < c.output_count(); ++i) c.record(c.output(i), beside(c, c.kept(x), *axis));
}

void units::trilu(UnitContext& c) {
  const ValueId x = c.input(0);
  for (const int behind : {2, 1}) c.freeze_axis(x, c.rank(x) - behind, "Trilu counts its positions");
  c.set(c.output(), c.bundles(x));
}

void cuts::trilu(CutContext& c) {
  const ValueId x = c.input(0);
  for (const int behind : {2, 1}) require_order(c, x, c.rank(x) - behind);
  c.record(c.output(), c.kept(x));
}

void units::det(UnitContext& c) {
  const ValueId x = c.input(0);
  for (const int behind : {2, 1}) c.freeze_axis(x, c.rank(x) - behind, "Det counts its rows and columns");
  c.set(c.output(), chosen(c.bundles(x), [&](const Bundle& b) { return b.ragged < c.rank(x) - 2; }));
}

void cuts::det(CutContext& c) {
  const ValueId x = c.input(0);
  for (const int behind : {2, 1}) require_order(c, x, c.rank(x) - behind);
  c.record(c.output(), c.kept(x));
}

namespace {

/// Axes whose size changes.
std::vector<int> resized(const UnitNode& c) {
  std::vector<int> result;
  for (int a = 0; a < c.rank(c.input(0)); ++a) {
    if (c.dim(c.input(0), a) != c.dim(c.output(), a)) result.push_back(a);
  }
  return result;
}

/// Nothing of the input is cut where the sizes asked for name the axis too.
bool asks_for(const UnitNode& c, int axis) {
  if (!c.node().has("axes")) return true;
  const auto axes = c.node().require<std::vector<int64_t>>("axes");
  return std::any_of(axes.begin(), axes.end(), [&](int64_t a) { return c.axis(a, c.rank(c.input(0))) == axis; });
}

}  // namespace

void units::center_crop_pad(UnitContext& c) {
  const ValueId x = c.input(0);
  const std::vector<int> changed = resized(c);
  if (!c.active(x) || !c.constant(c.input(1))) return c.opaque();
  for (int a = 0; a < c.rank(x); ++a) {
    if (asks_for(c, a)) c.freeze_axis(x, a, "CenterCropPad asks for its size");
  }
  c.set(c.output(), chosen(c.bundles(x), [&](const Bundle& b) { return !among(changed, b.ragged); }));
}

void cuts::center_crop_pad(CutContext& c) {
  const ValueId x = c.input(0);
  if (!c.active(x) || !c.constant(c.input(1))) return c.opaque();
  for (const int a : resized(c)) require_order(c, x, a);
  c.record(c.output(), c.kept(x));
}

void units::one_hot(UnitContext& c) {
  const ValueId indices = c.input(0), out = c.output();
  for (const size_t i : {size_t{1}, size_t{2}}) {
    if (c.active(c.input(i))) c.freeze_value(c.input(i), "OneHot reads its depth and values");
  }
  if (!c.active(indices)) return c.set(out, {});
  const int axis = c.axis(c.node().get<int64_t>("axis", -1), c.rank(out));
  c.set(out, moved(c.bundles(indices), [&](int a) { return a + (a >= axis ? 1 : 0); }));
}

void cuts::one_hot(CutContext& c) {
  const ValueId indices = c.input(0), out = c.output();
  for (const size_t i : {size_t{1}, size_t{2}}) c.require_whole(c.input(i));
  if (!c.active(indices)) return c.record(out, {});
  const int axis = c.axis(c.node().get<int64_t>("axis", -1), c.rank(out));
  c.record(out, moved(c.kept(indices), [&](int a) { return a + (a >= axis ? 1 : 0); }));
}

namespace {

std::vector<int64_t> positions_under(const Tensor& condition) {
  std::vector<int64_t> result;
  const auto values = condition.data<bool>();
  for (int64_t i = 0; i < condition.size(); ++i) {
    if (values[static_cast<size_t>(i)]) result.push_back(i);
  }
  return result;
}

}  // namespace

void units::compress(UnitContext& c) {
  const ValueId x = c.input(0), condition = c.input(1);
  if (!c.active(x) || !c.constant(condition)) return c.opaque();
  if (!c.node().has("axis")) return c.freeze_value(x, "Compress picks from all of it");
  const int axis = c.axis(c.node().require<int64_t>("axis"), c.rank(x));
  const auto index = positions_under(c.tensor(condition));
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) result.push_back(b.has(axis) ? b.taken(axis, index) : b);
  c.set(c.output(), std::move(result));
}

/// The condition is taken at the coordinates that are left.
void cuts::compress(CutContext& c) {
  const ValueId x = c.input(0), condition = c.input(1);
  if (!c.active(x) || !c.constant(condition) || !c.node().has("axis")) return c.opaque();
  const int axis = c.axis(c.node().require<int64_t>("axis"), c.rank(x));
  const auto index = positions_under(c.tensor(condition));
  std::vector<Bundle> result;
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged != axis) {
      result.push_back(k.has(axis) ? k.taken(axis, index) : k);
      continue;
    }
    if (c.fact(condition).bound) c.inexpressible(x, axis, "Compress at dynamic positions");
    const std::vector<int64_t> order = c.order(x, axis);
    Tensor cut(DataType::boolean, {static_cast<int64_t>(order.size())});
    std::vector<int32_t> left;
    for (size_t p = 0; p < order.size(); ++p) {
      const auto found = std::lower_bound(index.begin(), index.end(), order[p]);
      if (found == index.end() || *found != order[p]) continue;
      cut.mutable_data<bool>()[p] = true;
      left.push_back(static_cast<int32_t>(found - index.begin()));
    }
    c.set_input(1, c.cut_constant(condition, std::move(cut)));
    const auto count = static_cast<int64_t>(left.size());
    result.push_back(Bundle::along(axis, IndexArray({count}, std::move(left))));
  }
  c.record(c.output(), std::move(result));
}

void units::sized(UnitContext& c) {
  c.freeze_value(c.input(0), c.op() + " takes its size from it");
  c.set(c.output(), {});
}

void cuts::sized(CutContext& c) {
  c.require_whole(c.input(0));
  c.record(c.output(), {});
}

}  // namespace espalier
