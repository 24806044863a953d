#include <algorithm>
#include <numeric>

#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

std::vector<size_t> all_inputs(const UnitNode& c) {
  std::vector<size_t> result(c.input_count());
  std::iota(result.begin(), result.end(), size_t{0});
  return result;
}

std::vector<ValueId> active_inputs(const UnitNode& c) {
  std::vector<ValueId> result;
  for (const ValueId v : c.node().inputs) {
    if (c.active(v)) result.push_back(v);
  }
  return result;
}

/// Axes of the output that only a constant makes wider than 1: there its channels are born.
std::vector<int> widened_axes(const UnitNode& c) {
  const ValueId out = c.output();
  std::vector<int> result;
  for (int axis = 0; axis < c.rank(out); ++axis) {
    const auto narrow = [&](ValueId v) {
      const int own = axis - (c.rank(out) - c.rank(v));
      return own < 0 || c.dim(v, own) == 1;
    };
    const auto acts = active_inputs(c);
    if (c.dim(out, axis) > 1 && std::all_of(acts.begin(), acts.end(), narrow)) result.push_back(axis);
  }
  return result;
}

/// Before opset 7 an operand was aligned by `axis`.
bool aligned_by_attribute(const UnitNode& c) { return c.node().version < 7 && c.node().has("axis"); }

bool constant_parameters(const UnitNode& c) {
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.active(c.input(i))) return false;
  }
  return true;
}

}  // namespace

void units::same(UnitContext& c) {
  for (size_t i = 0; i < c.output_count(); ++i) c.set(c.output(i), c.bundles(c.input(0)));
}

void cuts::same(CutContext& c) {
  for (size_t i = 0; i < c.output_count(); ++i) c.record(c.output(i), c.kept(c.input(0)));
}

void units::elementwise(UnitContext& c) {
  if (aligned_by_attribute(c)) return c.opaque();
  const ValueId out = c.output();
  c.join(out, active_inputs(c));
  std::vector<Bundle> bundles = c.bundles(out);
  for (const int axis : widened_axes(c)) bundles.push_back(Bundle::along(axis, c.born({c.dim(out, axis)})));
  c.set(out, std::move(bundles));
}

void cuts::elementwise(CutContext& c) {
  if (aligned_by_attribute(c)) return c.opaque();
  const ValueId out = c.output();
  std::vector<Bundle> left = c.join(out, all_inputs(c));
  const std::vector<int> born = widened_axes(c);
  for (const Bundle& k : c.canonical(out)) {
    if (std::find(born.begin(), born.end(), k.ragged) != born.end()) left.push_back(k);
  }
  for (size_t i = 0; i < c.input_count(); ++i) {
    const ValueId v = c.input(i);
    if (!left.empty() && c.constant(v)) {
      const auto follow = [&](const Tensor& t) { return c.follow(t, left, c.rank(out) - c.rank(v)); };
      if (!(follow(c.tensor(v)) == c.tensor(v))) c.set_input(i, cut_weight(c, v, follow));
    }
  }
  c.record(out, std::move(left));
}

namespace {

/// Indices of MaxPool count through all channels: others than MaxUnpool would see them change.
bool indices_reach_others(const UnitNode& c) {
  const ValueId where = c.output(1);
  if (where == kNone) return false;
  const auto users = c.graph().users(where);
  return c.graph().is_output(where) || !std::all_of(users.begin(), users.end(), [&](NodeId id) {
    const Node& node = c.graph().node(id);
    return node.domain.empty() && node.op_type == "MaxUnpool";
  });
}

}  // namespace

void units::spatial(UnitContext& c) {
  const auto channels = c.channel_ids(c.input(0));
  if (indices_reach_others(c)) return c.opaque();
  for (size_t i = 0; i < c.output_count(); ++i) {
    if (c.output(i) != kNone) c.set(c.output(i), channels ? std::vector{Bundle::along(1, *channels)} : std::vector<Bundle>{});
  }
}

void cuts::spatial(CutContext& c) {
  const ValueId x = c.input(0);
  if (indices_reach_others(c)) return c.opaque();
  for (size_t i = 0; i < c.output_count(); ++i) c.record(c.output(i), c.kept(x));
}

void units::norm(UnitContext& c) {
  const auto channels = c.channel_ids(c.input(0));
  if (!constant_parameters(c)) return c.opaque();
  for (size_t i = 1; channels && i < std::min<size_t>(c.input_count(), 3); ++i) c.weight_rows(i, 0, *channels);
  c.set(c.output(), channels ? std::vector{Bundle::along(1, *channels)} : std::vector<Bundle>{});
}

void cuts::norm(CutContext& c) {
  if (!constant_parameters(c)) return c.opaque();
  const std::vector<int64_t> order = c.order(c.input(0), 1);
  for (size_t i = 1; i < c.input_count(); ++i) {
    const ValueId v = c.input(i);
    if (v == kNone || c.kept(c.input(0)).empty()) continue;
    c.set_input(i, c.cut_constant(v, c.follow(c.tensor(v), {Bundle::along(0, c.along(c.input(0), 1).ids)}, 0)));
  }
  c.record(c.output(), c.kept(c.input(0)));
}

void units::softmax(UnitContext& c) {
  const ValueId x = c.input(0);
  const bool flattened = c.node().version < 13;
  const int axis = c.axis(c.node().get<int64_t>("axis", flattened ? 1 : -1), c.rank(x));
  for (int a = axis; a < (flattened ? c.rank(x) : axis + 1); ++a) c.freeze_axis(x, a, c.op() + " over it");
  c.set(c.output(), c.bundles(x));
}

void cuts::counting(CutContext& c) { c.record(c.output(), c.kept(c.input(0))); }

void units::layer_norm(UnitContext& c) {
  const ValueId x = c.input(0);
  for (int a = c.axis(c.node().get<int64_t>("axis", -1), c.rank(x)); a < c.rank(x); ++a) {
    c.freeze_axis(x, a, c.op() + " counts it");
  }
  c.set(c.output(), c.bundles(x));
}

void cuts::layer_norm(CutContext& c) {
  const ValueId x = c.input(0);
  const int first = c.axis(c.node().get<int64_t>("axis", -1), c.rank(x));
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged >= first) c.inexpressible(x, k.ragged, "permuted " + c.op() + " axis");
  }
  cuts::counting(c);
}

void units::expand(UnitContext& c) {
  if (!c.constant(c.input(1))) return c.opaque();
  c.join(c.output(), {c.input(0)});
}

void cuts::expand(CutContext& c) {
  const ValueId x = c.input(0), out = c.output();
  if (!c.constant(c.input(1))) return c.opaque();
  if (!c.kept(x).empty()) {
    const std::vector<Bundle> left = c.join(out, {0});
    const Dims size = c.size(out, left);
    std::vector<int64_t> target;
    for (int axis = 0; axis < c.rank(out); ++axis) {
      const int own = axis - (c.rank(out) - c.rank(x));
      const bool wide = own >= 0 && c.dim(x, own) != 1;
      const auto at = static_cast<size_t>(axis);
      if (!wide && !c.fact(out).symbolic[at].known()) c.inexpressible(x, left[0].ragged, "Expand to a dynamic size");
      target.push_back(wide ? 1 : size[at]);
    }
    c.set_input(1, c.numbers(target, "shape"));
    return c.record(out, left);
  }
  c.record(out, {});
}

}  // namespace espalier
