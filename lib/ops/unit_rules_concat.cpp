#include <algorithm>
#include <numeric>

#include "lib/ops/cut.h"
#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

int concat_axis(const UnitNode& c) { return c.axis(c.node().get<int64_t>("axis", 1), c.rank(c.output())); }

std::vector<int> all_rows(const std::vector<Bundle>& pieces) {
  std::vector<int> rows;
  for (const Bundle& b : pieces) rows = merged_axes(rows, b.axes);
  return rows;
}

/// The pieces one behind the other, over the union of their rows.
Bundle chained(const std::vector<Bundle>& pieces, const Dims& sizes, int axis) {
  const std::vector<int> rows = all_rows(pieces);
  std::vector<IndexArray> parts;
  for (const Bundle& b : pieces) parts.push_back(spread(b, rows, sizes));
  const int at = static_cast<int>(std::find(rows.begin(), rows.end(), axis) - rows.begin());
  return {rows, concatenate(parts, at), axis};
}

std::vector<int64_t> range(int64_t begin, int64_t end) {
  std::vector<int64_t> result(static_cast<size_t>(end - begin));
  std::iota(result.begin(), result.end(), begin);
  return result;
}

/// (before, after) of each axis; nothing where they are not constant. A negative amount crops.
std::optional<std::vector<std::pair<int64_t, int64_t>>> pad_amounts(const UnitNode& c) {
  bool unknown = false;
  const auto pads = c.integers("pads", 1, 11, &unknown);
  if (!pads || c.input(3) != kNone) return std::nullopt;
  std::vector<std::pair<int64_t, int64_t>> result;
  for (size_t i = 0; i < pads->size() / 2; ++i) result.emplace_back((*pads)[i], (*pads)[i + pads->size() / 2]);
  return result;
}

}  // namespace

void units::concat(UnitContext& c) {
  const ValueId out = c.output();
  const int axis = concat_axis(c);
  std::vector<ValueId> acts;
  for (const ValueId v : c.node().inputs) {
    if (c.active(v)) acts.push_back(v);
  }
  c.join(out, acts, axis);
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(out)) {
    if (b.has(axis)) c.freeze(b.ids, "Concat along rows");
    else result.push_back(b);
  }
  const bool bears = std::any_of(acts.begin(), acts.end(), [&](ValueId v) { return find_ragged(c.bundles(v), axis) != nullptr; });
  if (!bears) return c.set(out, std::move(result));  // space, time, batch
  std::vector<Bundle> pieces;
  for (const ValueId v : c.node().inputs) {
    const Bundle* own = c.active(v) ? find_ragged(c.bundles(v), axis) : nullptr;
    pieces.push_back(own ? *own : Bundle::along(axis, c.born({c.dim(v, axis)})));
    if (!own && c.active(v)) c.freeze(pieces.back().ids, "Concat operand is fixed there");
  }
  result.push_back(chained(pieces, c.dims(out), axis));
  c.set(out, std::move(result));
}

void cuts::concat(CutContext& c) {
  const ValueId out = c.output();
  const int axis = concat_axis(c);
  std::vector<size_t> indices(c.input_count());
  std::iota(indices.begin(), indices.end(), size_t{0});
  std::vector<Bundle> left = c.join(out, indices, axis);
  const Bundle* whole = find_ragged(c.bundles(out), axis);
  std::vector<Bundle> pieces;
  std::vector<ValueId> inputs;
  int64_t start = 0;
  for (const size_t i : indices) {
    const ValueId v = c.input(i);
    const int64_t size = c.dim(v, axis);
    Bundle k = c.active(v) ? c.along(v, axis) : Bundle::along(axis, IndexArray::range(0, size));
    ValueId now = c.current(i);
    if (!c.active(v)) {  // constants follow the ids born for them
      const auto own = whole ? c.canonical({whole->taken(axis, range(start, start + size))}) : std::vector<Bundle>{};
      if (!own.empty()) k = own[0];
      std::vector<Bundle> follows = left;
      follows.push_back(k);
      const ValueId cut = cut_weight(c, v, [&](const Tensor& t) { return c.follow(t, follows, 0); });
      if (cut != v) now = cut;
    }
    if (k.ids.size() > 0) inputs.push_back(now);
    pieces.push_back({k.axes, k.ids.shifted(static_cast<int32_t>(start)), axis});
    start += size;
  }
  c.set_inputs(std::move(inputs));
  left.push_back(chained(pieces, c.dims(out), axis));
  c.record(out, std::move(left));
}

void units::pad(UnitContext& c) {
  const auto pads = pad_amounts(c);
  if (!pads) return c.opaque();
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(c.input(0))) {
    for (const int axis : b.axes) {
      if (axis != b.ragged && (*pads)[static_cast<size_t>(axis)] != std::pair<int64_t, int64_t>{}) c.freeze(b.ids, "Pad along rows");
    }
    const auto [before, after] = (*pads)[static_cast<size_t>(b.ragged)];
    if (before == 0 && after == 0) {
      result.push_back(b);
      continue;
    }
    const bool zeros = c.node().get<std::string>("mode", "constant") == "constant";
    if (b.axes.size() > 1 || before < 0 || after < 0 || !zeros) {
      c.freeze(b.ids, "Pad along it");
      continue;
    }
    const IndexArray head = c.born({before}), tail = c.born({after});
    result.push_back(Bundle::along(b.ragged, concatenate({head, b.ids, tail}, 0)));
  }
  c.set(c.output(), std::move(result));
}

void cuts::pad(CutContext& c) {
  const ValueId x = c.input(0), out = c.output();
  auto pads = pad_amounts(c);
  if (!pads) return c.opaque();
  const std::vector<Bundle> wanted = c.canonical(out);
  std::vector<Bundle> left;
  bool changed = false;
  for (int axis = 0; axis < c.rank(x); ++axis) {
    const Bundle *k = find_ragged(c.kept(x), axis), *w = find_ragged(wanted, axis);
    if (!k && !w) continue;
    auto& [before, after] = (*pads)[static_cast<size_t>(axis)];
    if (before == 0 && after == 0) {
      check(k != nullptr, "an axis that is not padded loses what its input lost");
      left.push_back(*k);
      continue;
    }
    const IndexArray all = w ? w->ids : IndexArray::range(0, c.dim(out, axis));
    std::vector<int32_t> head, tail;
    for (const int32_t i : all.values()) {
      if (i < before) head.push_back(i);
      if (i >= before + c.dim(x, axis)) tail.push_back(i);
    }
    const auto part = [](std::vector<int32_t> v) { return IndexArray({static_cast<int64_t>(v.size())}, v); };
    left.push_back(Bundle::along(
        axis, concatenate({part(head), c.along(x, axis).ids.shifted(static_cast<int32_t>(before)), part(tail)}, 0)));
    changed = true;
    before = static_cast<int64_t>(head.size());
    after = static_cast<int64_t>(tail.size());
  }
  if (changed) {
    std::vector<int64_t> flat;
    for (const auto& [before, after] : *pads) flat.push_back(before);
    for (const auto& [before, after] : *pads) flat.push_back(after);
    if (c.node().version < 11) c.set_attribute("pads", flat);
    else c.set_input(1, c.numbers(flat, c.graph().value(out).name + "__pads"));
  }
  c.record(out, std::move(left));
}

}  // namespace espalier
