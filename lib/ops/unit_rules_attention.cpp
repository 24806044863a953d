#include <cmath>

#include "lib/ops/cut.h"
#include "lib/ops/unit_rules_fused.h"

namespace espalier {
namespace {

/// Query, key or value of a fused Attention: [B, heads, length, size], or [B, length, heads * size].
struct HeadSide {
  size_t input;
  ValueId v;
  int64_t heads, size;
  bool flat;
  int axis() const { return flat ? 2 : 3; }  ///< where the units of a head stand
};

HeadSide operand(const UnitNode& c, size_t i) {
  const ValueId v = c.input(i);
  const bool flat = c.rank(v) == 3;
  const int64_t heads = flat ? c.node().get<int64_t>(i == 0 ? "q_num_heads" : "kv_num_heads", 1) : c.dim(v, 1);
  return {i, v, heads, flat ? c.dim(v, 2) / heads : c.dim(v, 3), flat};
}

/// States are the outside's business, and their sizes its promise.
bool keeps_state(const UnitNode& c) { return c.input(4) != kNone || c.input(5) != kNone || c.output(1) != kNone || c.output(2) != kNone; }

/// Ids by head and position, [heads, size]; whatever stands elsewhere is frozen.
std::optional<IndexArray> ids_by_head(UnitContext& c, const HeadSide& x) {
  std::optional<IndexArray> found;
  for (size_t i = c.bundles(x.v).size(); i-- > 0;) {
    const Bundle b = c.bundles(x.v)[i];
    const bool rows = !x.flat && b.has(1) && b.axes.size() == 2;
    if (!b.has(x.axis()) || (b.axes.size() > 1 && !rows)) {
      c.freeze(b.ids, "Attention: a batch, head or sequence axis");
      continue;
    }
    if (b.ragged != x.axis()) c.turn(x.v, i, x.axis());
    found = x.flat ? b.ids.reshaped({x.heads, x.size}) : spread(b, {1, 3}, c.dims(x.v));
    if (x.flat) c.constrain(*found, "heads of " + c.graph().value(x.v).name);
  }
  return found;
}

/// Row h of the result is row h / times of `rows`.
IndexArray repeated(const IndexArray& rows, int64_t times) {
  std::vector<int64_t> index;
  for (int64_t h = 0; h < rows.dim(0) * times; ++h) index.push_back(h / times);
  return rows.taken(0, index);
}

/// Rows [heads, n] as a bundle of the output: by head, or flat.
Bundle on_output(const IndexArray& rows, bool flat) {
  if (flat) return Bundle::along(2, rows.reshaped({rows.size()}));
  return {{1, 3}, rows, 3};
}

/// What is left of an operand by head, in its first order: coordinates [heads, kept] within a head. Its input is reordered
/// to that.
IndexArray kept_by_head(CutContext& c, const HeadSide& x) {
  const Bundle* have = find_ragged(c.kept(x.v), x.axis());
  const auto lost = c.canonical(x.v);
  const Bundle* first = find_ragged(lost, x.axis());
  const Bundle want = first ? *first : Bundle::along(x.axis(), IndexArray::range(0, c.dim(x.v, x.axis())));
  if (have) c.set_input(x.input, c.reorder(x.v, c.current(x.input), *have, want, "Attention joins two orders"));
  if (!x.flat) {
    Dims sizes = c.dims(x.v);
    sizes[3] = want.length();
    return spread(want, {1, 3}, sizes);
  }
  std::vector<int32_t> within;
  for (const int32_t at : want.ids.values()) within.push_back(static_cast<int32_t>(at % x.size));
  return IndexArray({x.heads, want.ids.size() / x.heads}, std::move(within));
}

}  // namespace

void units::attention(UnitContext& c) {
  for (size_t i = 0; i < 3; ++i) {
    if (!c.active(c.input(i))) return c.opaque();
  }
  if (c.active(c.input(3))) c.freeze_value(c.input(3), "Attention adds it as a mask");
  if (keeps_state(c)) {
    for (size_t i = 0; i < c.input_count(); ++i) {
      if (c.active(c.input(i))) c.freeze_value(c.input(i), "Attention keeps a state of it");
    }
    for (size_t i = 0; i < c.output_count(); ++i) c.set(c.output(i), {});
    return;
  }
  const HeadSide q = operand(c, 0), k = operand(c, 1), v = operand(c, 2);
  const auto queries = ids_by_head(c, q), keys = ids_by_head(c, k), values = ids_by_head(c, v);
  const int64_t group = q.heads / k.heads;
  if (queries && keys) {
    c.units().unite(*queries, repeated(*keys, group));
    c.activation_sink(0, on_output(*queries, q.flat));
  } else if (queries || keys) {
    c.freeze(queries ? *queries : *keys, "Attention contracts it with a fixed axis");
  }
  if (values) c.set(c.output(), {on_output(repeated(*values, group), v.flat)});
}

void cuts::attention(CutContext& c) {
  for (size_t i = 0; i < 3; ++i) {
    if (!c.active(c.input(i))) return c.opaque();
  }
  if (keeps_state(c)) return c.opaque();
  const HeadSide q = operand(c, 0), k = operand(c, 1), v = operand(c, 2);
  const int64_t group = q.heads / k.heads;
  const IndexArray queries = kept_by_head(c, q), keys = kept_by_head(c, k), values = kept_by_head(c, v);
  if (!(queries == repeated(keys, group))) c.inexpressible(q.v, q.axis(), "Attention would need another order for each head");
  if (queries.dim(1) != q.size && !c.node().has("scale")) {  // the root of the original size
    c.set_attribute("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(q.size))));
  }
  IndexArray rows = repeated(values, group);
  if (v.flat) {
    std::vector<int32_t> places;
    for (int64_t i = 0; i < rows.size(); ++i) places.push_back(rows[i] + static_cast<int32_t>(i / rows.dim(1) * v.size));
    rows = IndexArray(rows.dims(), std::move(places));
  }
  const bool whole = values.dim(1) == v.size;
  c.record(c.output(), whole ? std::vector<Bundle>{} : std::vector{on_output(rows, v.flat)});
}

}  // namespace espalier
