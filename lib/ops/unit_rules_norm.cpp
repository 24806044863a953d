#include <cmath>

#include "lib/ops/cut.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/unit_rules_fused.h"

namespace espalier {
namespace {

/// The one axis that an RMSNormalization runs over, if its scale is a constant with one value for each position of it.
std::optional<int> rms_axis(const UnitNode& c) {
  const ValueId x = c.input(0), scale = c.input(1);
  const int last = c.rank(x) - 1;
  const bool one = c.axis(c.node().get<int64_t>("axis", -1), c.rank(x)) == last;
  if (!one || !c.constant(scale) || c.rank(scale) != 1 || c.dim(scale, 0) != c.dim(x, last)) return std::nullopt;
  return last;
}

}  // namespace

void units::rms_norm(UnitContext& c) {
  const ValueId x = c.input(0);
  const auto axis = rms_axis(c);
  if (!axis || c.active(c.input(1))) {
    if (c.active(c.input(1))) return c.opaque();
    return units::layer_norm(c);
  }
  std::vector<int> others;
  for (int a = 0; a < *axis; ++a) others.push_back(a);
  if (const auto ids = c.axis_ids(x, *axis, others)) {
    c.weight_rows(1, 0, *ids);
    c.activation_sink(0, Bundle::along(*axis, *ids));
  }
  c.set(c.output(), c.bundles(x));
}

/// x / sqrt(S / n + e), n pinned, is sqrt(n / k) x / sqrt(S / k + e n / k): scale and epsilon take the kept count k in.
void cuts::rms_norm(CutContext& c) {
  const ValueId x = c.input(0), scale = c.input(1);
  const auto axis = rms_axis(c);
  if (!axis) return cuts::layer_norm(c);
  const Bundle along = c.along(x, *axis);
  const auto whole = static_cast<double>(c.dim(x, *axis)), left = static_cast<double>(along.length());
  if (find_ragged(c.kept(x), *axis)) {
    Tensor values = c.follow(c.tensor(scale), {Bundle::along(0, along.rows().front(0))}, 0);
    if (left != whole) {
      const DataType type = values.type();
      Tensor wide = values.cast(DataType::float64);
      for (double& v : wide.mutable_data<double>()) v *= std::sqrt(whole / left);
      values = wide.cast(type);
      c.set_attribute("epsilon", static_cast<float>(static_cast<double>(c.node().get<float>("epsilon", 1e-5f)) * whole / left));
    }
    c.set_input(1, c.cut_constant(scale, std::move(values)));
  }
  c.record(c.output(), c.kept(x));
}

namespace {

/// A group for each channel: nothing is counted, and num_groups follows.
bool by_channel(const UnitNode& c) { return c.node().require<int64_t>("num_groups") == c.dim(c.input(0), 1); }

}  // namespace

void units::group_norm(UnitContext& c) {
  if (by_channel(c)) return units::norm(c);
  const ValueId x = c.input(0);
  for (int a = 1; a < c.rank(x); ++a) c.freeze_axis(x, a, c.op() + " counts it");
  for (const size_t i : {1, 2}) {
    if (c.active(c.input(i))) c.freeze_value(c.input(i), c.op() + " takes its scale or bias from data");
  }
  c.set(c.output(), c.bundles(x));
}

void cuts::group_norm(CutContext& c) {
  if (!by_channel(c)) {
    for (const Bundle& k : c.kept(c.input(0))) {
      if (k.ragged > 0) c.inexpressible(c.input(0), k.ragged, "permuted " + c.op() + " axis");
    }
    return cuts::counting(c);
  }
  cuts::norm(c);
  if (!c.kept(c.input(0)).empty()) c.set_attribute("num_groups", c.size(c.input(0))[1]);
}

void units::neighbours(UnitContext& c) {
  const ValueId x = c.input(0);
  c.freeze_axis(x, 1, c.op() + " counts its neighbours");
  c.set(c.output(), c.bundles(x));
}

void cuts::neighbours(CutContext& c) {
  for (const Bundle& k : c.kept(c.input(0))) {
    if (k.ragged == 1) c.inexpressible(c.input(0), 1, "permuted " + c.op() + " axis");
  }
  cuts::counting(c);
}

}  // namespace espalier
