#include <algorithm>
#include <unordered_map>

#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

std::vector<Bundle> taken(const std::vector<Bundle>& bundles, int axis, const std::vector<int64_t>& index) {
  std::vector<Bundle> result;
  for (const Bundle& b : bundles) result.push_back(b.has(axis) ? b.taken(axis, index) : b);
  return result;
}

/// Where the coordinates left lie that an index vector picks.
struct Picked {
  std::vector<int64_t> present;  ///< positions in the pruned axis
  Bundle left;                   ///< coordinates of the result
};

/// The coordinates left of one row that `index` picks. An ascending index keeps their present order.
Picked pick_row(std::span<const int32_t> row, const std::vector<int64_t>& index, std::vector<int32_t>& left) {
  Picked result;
  if (std::is_sorted(index.begin(), index.end())) {
    for (size_t p = 0; p < row.size(); ++p) {
      const auto found = std::lower_bound(index.begin(), index.end(), row[p]);
      if (found == index.end() || *found != row[p]) continue;
      result.present.push_back(static_cast<int64_t>(p));
      left.push_back(static_cast<int32_t>(found - index.begin()));
    }
    return result;
  }
  std::unordered_map<int64_t, int64_t> place;
  for (size_t p = 0; p < row.size(); ++p) place[row[p]] = static_cast<int64_t>(p);
  for (size_t j = 0; j < index.size(); ++j) {
    const auto found = place.find(index[j]);
    if (found == place.end()) continue;
    result.present.push_back(found->second);
    left.push_back(static_cast<int32_t>(j));
  }
  return result;
}

/// Nothing where the rows would be picked differently.
std::optional<Picked> pick(const Bundle& k, const std::vector<int64_t>& index) {
  const IndexArray rows = k.rows();
  std::vector<int32_t> left;
  std::optional<Picked> result;
  for (int64_t r = 0; r < rows.dim(0); ++r) {
    const auto n = static_cast<size_t>(rows.dim(1));
    Picked row = pick_row(rows.values().subspan(static_cast<size_t>(r) * n, n), index, left);
    if (result && result->present != row.present) return std::nullopt;
    result = std::move(row);
  }
  const int at = k.ragged_position();
  Dims dims;
  std::vector<int> back;
  for (int i = 0; i < k.ids.rank(); ++i) {
    if (i != at) dims.push_back(k.ids.dim(i));
    back.push_back(i == at ? k.ids.rank() - 1 : i < at ? i : i - 1);
  }
  dims.push_back(static_cast<int64_t>(result->present.size()));
  result->left = {k.axes, IndexArray(dims, std::move(left)).transposed(back), k.ragged};
  return result;
}

bool contiguous(const std::vector<int64_t>& index) {
  for (size_t i = 1; i < index.size(); ++i) {
    if (index[i] != index[i - 1] + 1) return false;
  }
  return !index.empty();
}

/// What a picked part of `v` along `axis` keeps; its present positions go to `present`.
std::vector<Bundle> select(const CutContext& c, const std::vector<Bundle>& kept, int axis, const std::vector<int64_t>& index,
                           std::vector<int64_t>& present) {
  std::vector<Bundle> result;
  present = index;
  for (const Bundle& k : kept) {
    if (k.ragged != axis) {
      result.push_back(k.has(axis) ? k.taken(axis, index) : k);
      continue;
    }
    auto picked = pick(k, index);
    if (!picked) c.inexpressible(c.input(0), axis, c.op() + " differs by row");
    present = std::move(picked->present);
    result.push_back(std::move(picked->left));
  }
  return result;
}

/// The operands of a Slice as lists of one length.
struct SlicePlan {
  std::vector<int64_t> starts, ends, axes, steps;
  std::vector<std::vector<int64_t>> index;  ///< original positions that each axis picks
};

std::vector<int64_t> slice_index(int64_t start, int64_t end, int64_t step, int64_t size) {
  const auto clamp = [&](int64_t at) {
    if (at < 0) at = at < -size ? -1 : at + size;
    return std::clamp<int64_t>(at, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
  };
  start = clamp(start);
  end = clamp(end);
  std::vector<int64_t> result;
  for (int64_t i = start; step > 0 ? i < end : i > end; i += step) result.push_back(i);
  return result;
}

std::optional<SlicePlan> slice_plan(const UnitNode& c) {
  SlicePlan plan;
  const auto read = [&](const char* name, size_t i, std::vector<int64_t>& to) {
    bool unknown = false;
    if (const auto given = c.integers(name, i, 10, &unknown)) to = *given;
    return !unknown;
  };
  if (!read("starts", 1, plan.starts) || !read("ends", 2, plan.ends) || !read("axes", 3, plan.axes) ||
      !read("steps", 4, plan.steps)) {
    return std::nullopt;
  }
  if (plan.axes.empty()) plan.axes = whole_order(static_cast<int64_t>(plan.starts.size()));
  if (plan.steps.empty()) plan.steps.assign(plan.starts.size(), 1);
  for (size_t i = 0; i < plan.starts.size(); ++i) {
    plan.axes[i] = c.axis(plan.axes[i], c.rank(c.input(0)));
    plan.index.push_back(slice_index(plan.starts[i], plan.ends[i], plan.steps[i], c.dim(c.input(0), static_cast<int>(plan.axes[i]))));
  }
  return plan;
}

/// Positions that each part of a Split takes.
std::vector<std::vector<int64_t>> split_parts(const UnitNode& c, int axis) {
  std::vector<std::vector<int64_t>> result;
  int64_t start = 0;
  for (size_t i = 0; i < c.output_count(); ++i) {
    result.emplace_back();
    if (c.output(i) == kNone) continue;
    for (int64_t n = c.dim(c.output(i), axis); n > 0; --n) result.back().push_back(start++);
  }
  return result;
}

}  // namespace

void units::slice(UnitContext& c) {
  const auto plan = slice_plan(c);
  if (!plan) return c.opaque();
  std::vector<Bundle> bundles = c.bundles(c.input(0));
  for (size_t i = 0; i < plan->axes.size(); ++i) bundles = taken(bundles, static_cast<int>(plan->axes[i]), plan->index[i]);
  c.set(c.output(), std::move(bundles));
}

namespace {

/// Writes a Slice anew where a ragged axis is sliced. Axes whose parts are not contiguous become Gathers behind it.
void write_slice(CutContext& c, SlicePlan plan, const std::vector<std::optional<std::vector<int64_t>>>& present) {
  std::vector<std::pair<int, std::vector<int64_t>>> gathers;
  for (size_t i = present.size(); i-- > 0;) {
    if (!present[i]) continue;
    if (contiguous(*present[i])) {
      plan.starts[i] = present[i]->front();
      plan.ends[i] = present[i]->back() + 1;
      plan.steps[i] = 1;
      continue;
    }
    gathers.emplace_back(static_cast<int>(plan.axes[i]), *present[i]);
    for (auto* list : {&plan.starts, &plan.ends, &plan.axes, &plan.steps}) list->erase(list->begin() + static_cast<std::ptrdiff_t>(i));
  }
  const ValueId out = c.output();
  ValueId data = c.current(0);
  for (const auto& [axis, index] : gathers) c.wish(c.input(0), axis, index);
  for (const auto& [axis, index] : gathers) data = c.gather(data, axis, index, "Slice");
  c.set_input(0, data);
  if (plan.axes.empty()) return c.become("Identity", {data}, {});
  if (c.node().version < 10) {
    c.set_attribute("starts", plan.starts);
    c.set_attribute("ends", plan.ends);
    return c.set_attribute("axes", plan.axes);
  }
  const std::string name = c.graph().value(out).name;
  c.set_inputs({data, c.numbers(plan.starts, name + "__starts"), c.numbers(plan.ends, name + "__ends"),
                c.numbers(plan.axes, name + "__axes"), c.numbers(plan.steps, name + "__steps")});
}

}  // namespace

void cuts::slice(CutContext& c) {
  const auto plan = slice_plan(c);
  if (!plan) return c.opaque();
  std::vector<Bundle> kept = c.kept(c.input(0));
  std::vector<std::optional<std::vector<int64_t>>> present(plan->axes.size());
  bool changed = false;
  for (size_t i = 0; i < plan->axes.size(); ++i) {
    const int axis = static_cast<int>(plan->axes[i]);
    const bool ragged = find_ragged(kept, axis) != nullptr;
    std::vector<int64_t> at;
    kept = select(c, kept, axis, plan->index[i], at);
    if (ragged) present[i] = at;
    changed = changed || ragged;
  }
  if (changed) {
    for (size_t i = 1; i < c.input_count(); ++i) {
      if (c.constant(c.input(i)) && c.fact(c.input(i)).bound) {
        c.inexpressible(c.input(0), c.kept(c.input(0))[0].ragged, "Slice at dynamic positions");
      }
    }
    write_slice(c, *plan, present);
  }
  c.record(c.output(), std::move(kept));
}

void units::split(UnitContext& c) {
  const int axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(c.input(0)));
  const auto parts = split_parts(c, axis);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (c.output(i) != kNone) c.set(c.output(i), taken(c.bundles(c.input(0)), axis, parts[i]));
  }
}

void cuts::split(CutContext& c) {
  const ValueId x = c.input(0);
  const int axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(x));
  const auto parts = split_parts(c, axis);
  std::vector<std::vector<int64_t>> present(parts.size());
  std::vector<int64_t> all, sizes;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (c.output(i) == kNone) continue;
    c.record(c.output(i), select(c, c.kept(x), axis, parts[i], present[i]));
    all.insert(all.end(), present[i].begin(), present[i].end());
    sizes.push_back(static_cast<int64_t>(present[i].size()));
  }
  if (!find_ragged(c.kept(x), axis)) return;
  if (contiguous(all)) {
    if (c.node().version < 13) return c.set_attribute("split", sizes);
    c.erase_attribute("num_outputs");
    return c.set_inputs({c.current(0), c.numbers(sizes, "split")});
  }
  const ValueId data = c.current(0);
  const std::vector<ValueId> outputs = c.node().outputs;
  c.erase_node();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (outputs[i] == kNone) continue;
    auto attributes = c.gather_attributes(axis, "Split");
    c.after("Gather", {data, c.numbers(present[i], "kept")}, std::move(attributes), outputs[i]);
  }
}

namespace {

/// A Gather by constant positions of an activation: the positions, and whether the axis goes (a scalar index).
struct GatherPlan {
  int axis;
  std::vector<int64_t> index;
  bool drop;
};

std::optional<GatherPlan> gather_plan(const UnitNode& c) {
  const ValueId x = c.input(0), index = c.input(1);
  if (!c.active(x) || !c.constant(index) || c.rank(index) > 1) return std::nullopt;
  GatherPlan plan{c.axis(c.node().get<int64_t>("axis", 0), c.rank(x)), c.tensor(index).to_int64s(), c.rank(index) == 0};
  for (int64_t& i : plan.index) i = normalize_axis(i, c.dim(x, plan.axis));
  return plan;
}

std::vector<Bundle> dropped(std::vector<Bundle> bundles, int axis) {
  for (Bundle& b : bundles) {
    b = b.moved([&](int a) { return a > axis ? a - 1 : a; });
  }
  return bundles;
}

/// A table of rows by data: an embedding.
bool embedding(const UnitNode& c) {
  return c.constant(c.input(0)) && c.active(c.input(1)) && c.rank(c.input(0)) == 2 && c.node().get<int64_t>("axis", 0) == 0;
}

/// An index of several axes makes new ones; axes behind move on.
std::vector<Bundle> spaced(const UnitNode& c, std::vector<Bundle> bundles) {
  const int axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(c.input(0))), extra = c.rank(c.input(1)) - 1;
  for (Bundle& b : bundles) {
    b = b.moved([&](int a) { return a + (a > axis ? extra : 0); });
  }
  return bundles;
}

bool has_axis(const std::vector<Bundle>& bundles, int axis) {
  return std::any_of(bundles.begin(), bundles.end(), [&](const Bundle& b) { return b.has(axis); });
}

}  // namespace

void units::gather(UnitContext& c) {
  const ValueId x = c.input(0), out = c.output();
  if (const auto plan = gather_plan(c)) {
    std::vector<Bundle> result;
    for (const Bundle& b : c.bundles(x)) {
      if (!b.has(plan->axis)) {
        result.push_back(b);
        continue;
      }
      Bundle picked = b.taken(plan->axis, plan->index);
      if (!plan->drop) result.push_back(std::move(picked));
      else if (b.ragged == plan->axis) c.freeze(picked.ids, "Gather picks one position");
      else result.push_back(picked.without(plan->axis));
    }
    return c.set(out, plan->drop ? dropped(std::move(result), plan->axis) : std::move(result));
  }
  if (embedding(c)) {
    c.freeze_value(c.input(1), "Gather index");
    return c.set(out, {Bundle::along(c.rank(out) - 1, c.born({c.dim(x, 1)}))});
  }
  if (c.active(c.input(1))) c.freeze_value(c.input(1), "Gather index");
  if (!c.active(x)) return c.set(out, {});
  const int axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(x));
  c.freeze_axis(x, axis, "Gather picks from it by index");
  std::vector<Bundle> passing = c.bundles(x);
  std::erase_if(passing, [&](const Bundle& b) { return b.ragged == axis; });
  c.set(out, spaced(c, std::move(passing)));
}

void cuts::gather(CutContext& c) {
  const ValueId x = c.input(0), index = c.input(1), out = c.output();
  if (const auto plan = gather_plan(c)) {
    std::vector<int64_t> present;
    std::vector<Bundle> kept = select(c, c.kept(x), plan->axis, plan->index, present);
    if (find_ragged(c.kept(x), plan->axis)) {
      if (c.fact(index).bound) c.inexpressible(x, plan->axis, "Gather at dynamic positions");
      c.set_input(1, plan->drop ? c.constant_like(Tensor::scalar<int64_t>(present.at(0)), "kept") : c.numbers(present, "kept"));
    }
    if (plan->drop) {
      std::erase_if(kept, [&](const Bundle& k) { return k.ragged == plan->axis; });
      for (Bundle& k : kept) {
        if (k.has(plan->axis)) k = k.without(plan->axis);
      }
      kept = dropped(std::move(kept), plan->axis);
    }
    return c.record(out, std::move(kept));
  }
  if (embedding(c)) {
    c.require_whole(index);
    const std::vector<Bundle> wanted = c.canonical(out);
    if (!wanted.empty()) {
      c.set_input(0, cut_weight(c, x, [&](const Tensor& t) { return c.follow(t, {Bundle::along(1, wanted[0].ids)}, 0); }));
    }
    return c.record(out, wanted);
  }
  c.require_whole(index);
  if (!c.active(x)) return c.record(out, {});
  const int axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(x));
  if (has_axis(c.kept(x), axis)) c.inexpressible(x, axis, "Gather needs the order of its axis");
  c.record(out, spaced(c, c.kept(x)));
}

}  // namespace espalier
