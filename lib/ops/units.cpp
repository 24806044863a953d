#include "lib/ops/units.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/unit_reasons.h"

namespace espalier {
namespace {

bool same_choice(const Bundle& a, const Bundle& b) { return a.has(b.ragged) && b.has(a.ragged); }

void erase_at(std::vector<Bundle>& list, size_t index) { list.erase(list.begin() + static_cast<std::ptrdiff_t>(index)); }

}  // namespace

std::optional<std::vector<int64_t>> UnitNode::integers(std::string_view attribute, size_t i, int since, bool* unknown) const {
  *unknown = false;
  if (node().version < since) {
    if (!node().has(attribute)) return std::nullopt;
    return node().require<std::vector<int64_t>>(attribute);
  }
  const ValueId v = input(i);
  if (v == kNone) return std::nullopt;
  *unknown = !constant(v);
  if (*unknown) return std::nullopt;
  return tensor(v).to_int64s();
}

IndexArray UnitNode::born_ids(Dims dims) const {
  for (const UnitBirth& birth : table_.births) {
    if (birth.node == id_) return IndexArray::range(birth.first, birth.first + birth.count).reshaped(std::move(dims));
  }
  throw Error(ErrorKind::internal, node().where() + ": no units are born here");
}

IndexArray UnitContext::born(const Dims& dims) {
  const IndexArray ids = mutable_.units.fresh(dims);
  if (ids.size() > 0) mutable_.births.push_back({id_, ids[0], static_cast<int32_t>(ids.size())});
  return ids;
}

void UnitContext::set(ValueId v, std::vector<Bundle> bundles) {
  if (v == kNone) return;
  std::vector<Bundle> done;
  const Dims& sizes = dims(v);
  for (Bundle& b : bundles) {
    std::vector<int> wide;
    Dims left;
    for (const int axis : b.axes) {
      if (sizes[static_cast<size_t>(axis)] == 1) continue;
      wide.push_back(axis);
      left.push_back(sizes[static_cast<size_t>(axis)]);
    }
    if (wide.empty()) {
      const bool born_here = !table_.births.empty() && table_.births.back().node == id_;
      if (!born_here) freeze(b.ids, op() + " picks one position");
      continue;
    }
    if (wide.size() < b.axes.size()) {
      const bool stays = std::find(wide.begin(), wide.end(), b.ragged) != wide.end();
      b = {wide, b.ids.reshaped(left), stays ? b.ragged : biggest_axis(wide, sizes)};
    }
    const auto clash = std::find_if(done.begin(), done.end(),
                                    [&](const Bundle& o) { return b.has(o.ragged) || o.has(b.ragged); });
    if (clash == done.end()) {
      done.push_back(b);
      continue;
    }
    const bool this_one = units().count_free(b.ids) <= units().count_free(clash->ids);
    freeze((this_one ? b : *clash).ids, "two prunable axes merged into one");
    if (!this_one) *clash = b;
  }
  list(v) = std::move(done);
}

void UnitContext::freeze_value(ValueId v, const std::string& reason) {
  for (const Bundle& b : bundles(v)) freeze(b.ids, reason);
}

void UnitContext::freeze_axis(ValueId v, int axis, const std::string& reason) {
  for (const Bundle& b : bundles(v)) {
    if (b.ragged == axis) freeze(b.ids, reason);
  }
  collapse_rows(v, axis);
}

void UnitContext::collapse_rows(ValueId v, int axis) {
  for (size_t i = list(v).size(); i-- > 0;) {
    if (list(v)[i].ragged != axis && list(v)[i].has(axis)) collapse(v, i, axis);
  }
}

void UnitContext::collapse(ValueId v, size_t index, int axis) {
  const Bundle b = list(v)[index];
  const int at = b.position(axis);
  const int64_t zero = 0;
  units().unite(b.ids.taken(at, {&zero, 1}), b.ids);
  erase_at(list(v), index);
  if (b.axes.size() > 1 && b.ragged != axis) list(v).push_back(b.without(axis));
}

void UnitContext::turn(ValueId v, size_t index, int axis) {
  Bundle& b = list(v)[index];
  b.ragged = axis;
  mutable_.demands.push_back(b.rows());
}

std::optional<IndexArray> UnitContext::axis_ids(ValueId v, int axis, const std::vector<int>& lives_on) {
  std::optional<IndexArray> found;
  const std::vector<Bundle> before = list(v);
  std::vector<Bundle> after;
  for (const Bundle& b : before) {
    if (!b.has(axis)) {
      after.push_back(b);
      continue;
    }
    if (b.ragged != axis && std::find(lives_on.begin(), lives_on.end(), b.ragged) != lives_on.end()) {
      const int64_t zero = 0;
      units().unite(b.ids.taken(b.position(axis), {&zero, 1}), b.ids);
      after.push_back(b.without(axis));
      continue;
    }
    const IndexArray rows = b.ids.rows_along(b.position(axis));
    const IndexArray first = rows.front(0);
    units().unite(first.reshaped({1, first.size()}), rows);
    if (found) units().unite(*found, first);
    else found = first;
  }
  if (found) after.push_back(Bundle::along(axis, *found));
  list(v) = std::move(after);
  return found;
}

std::optional<IndexArray> UnitContext::channel_ids(ValueId v) {
  for (size_t i = list(v).size(); i-- > 0;) {
    const Bundle b = list(v)[i];
    if (b.ragged == 1 || b.has(1)) continue;
    freeze(b.ids, op() + ": batch or spatial axis");
    erase_at(list(v), i);
  }
  return axis_ids(v, 1);
}

void UnitContext::join(ValueId out, const std::vector<ValueId>& operands, int skip_axis) {
  struct View {
    Dims sizes;
    std::vector<Bundle> bundles;
  };
  const Dims& sizes = dims(out);
  std::vector<View> views;
  for (const ValueId v : operands) {
    const int lead = rank(out) - rank(v);
    View view{Dims(static_cast<size_t>(lead), 1), {}};
    view.sizes.insert(view.sizes.end(), dims(v).begin(), dims(v).end());
    for (const Bundle& b : bundles(v)) view.bundles.push_back(b.shifted_axes(lead));
    views.push_back(std::move(view));
  }
  std::vector<Bundle> result;
  for (const View& view : views) {
    for (const Bundle& b : view.bundles) {
      if (b.ragged == skip_axis) continue;
      auto same = std::find_if(result.begin(), result.end(), [&](const Bundle& r) { return r.ragged == b.ragged; });
      if (same == result.end()) {
        same = std::find_if(result.begin(), result.end(), [&](const Bundle& r) { return same_choice(r, b); });
      }
      if (same == result.end()) {
        result.push_back(b);
        continue;
      }
      const std::vector<int> axes = merged_axes(same->axes, b.axes);
      const IndexArray wide = spread(*same, axes, sizes);
      units().unite(wide, spread(b, axes, sizes));
      *same = {axes, wide, same->ragged};
    }
  }
  for (const Bundle& r : result) {
    for (const View& view : views) {
      const bool wide = view.sizes[static_cast<size_t>(r.ragged)] > 1;
      const bool bears = std::any_of(view.bundles.begin(), view.bundles.end(),
                                     [&](const Bundle& b) { return b.ragged == r.ragged || same_choice(r, b); });
      if (wide && !bears) freeze(r.ids, op() + " joins it with a fixed axis");
    }
  }
  set(out, std::move(result));
}

void UnitContext::opaque() {
  const auto sized = [&](ValueId v) { return v == kNone || fact(v).dims; };
  const std::vector<ValueId> &inputs = node().inputs, &outputs = node().outputs;
  const bool all = std::all_of(inputs.begin(), inputs.end(), sized) && std::all_of(outputs.begin(), outputs.end(), sized);
  const std::string reason = freeze_reason(node(), all);
  for (const ValueId v : node().inputs) {
    if (active(v)) freeze_value(v, reason);
  }
}

void UnitContext::weight_sink(size_t input, int axis, const IndexArray& ids, int64_t groups, std::optional<size_t> zero_point) {
  mutable_.sinks.push_back({id_, input, true, axis, groups, Bundle::along(axis, ids), zero_point});
}

void UnitContext::activation_sink(size_t input, const Bundle& bundle) {
  mutable_.sinks.push_back({id_, input, false, 0, 1, bundle, {}});
}

void UnitContext::constrain(IndexArray rows, std::string words) {
  mutable_.constraints.push_back({std::move(rows), std::move(words)});
}

Bundle UnitTable::tidy(const Bundle& bundle, const Dims& sizes, const std::vector<int32_t>& labels) const {
  Bundle result{bundle.axes, units.find(bundle.ids), bundle.ragged};
  for (size_t k = result.axes.size(); k-- > 0;) {
    if (result.ids.constant_along(static_cast<int>(k))) result = result.without(result.axes[k]);
  }
  if (result.axes.empty()) {
    result.ragged = -1;
    return result;
  }
  if (!result.has(bundle.ragged)) result.ragged = biggest_axis(result.axes, sizes);
  if (labels.empty() || result.axes.size() == 1) return result;
  std::vector<int32_t> of_ids;
  for (const int32_t id : result.ids.values()) of_ids.push_back(labels[static_cast<size_t>(id)]);
  const IndexArray labelled(result.ids.dims(), std::move(of_ids));
  if (std::any_of(labelled.values().begin(), labelled.values().end(), [](int32_t label) { return label < 0; })) return result;
  for (size_t k = 0; k < result.axes.size(); ++k) {
    if (labelled.constant_along(static_cast<int>(k))) result.ragged = result.axes[k];
  }
  return result;
}

void UnitTable::finish() {
  std::vector<int32_t> labels;
  if (!demands.empty()) labels.assign(static_cast<size_t>(units.size()), -1);
  int32_t label = 0;
  for (const IndexArray& ids : demands) {
    for (int64_t i = 0; i < ids.size(); ++i) {
      labels[static_cast<size_t>(units.find(ids[i]))] = label + static_cast<int32_t>(i / ids.dim(1));
    }
    label += static_cast<int32_t>(ids.dim(0));
  }
  rows.clear();
  for (const RowConstraint& c : constraints) rows.push_back({units.find(c.ids), c.words});
  for (size_t v = 0; v < bundles.size(); ++v) {
    std::vector<Bundle> left;
    for (const Bundle& b : bundles[v]) {
      if (b.ids.size() == 0) continue;
      Bundle tidied = tidy(b, *facts[v].dims, labels);
      if (tidied.ragged < 0) {
        units.freeze(tidied.ids, "the whole axis is one unit");
        continue;
      }
      if (tidied.axes.size() > 1) rows.push_back({tidied.rows(), "rows of " + graph->value(static_cast<ValueId>(v)).name});
      left.push_back(std::move(tidied));
    }
    bundles[v] = std::move(left);
  }
}

}  // namespace espalier
