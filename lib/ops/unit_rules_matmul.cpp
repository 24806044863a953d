#include <algorithm>

#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

/// One side of a product of two activations: [.., rows, contracted] or its mirror.
struct Side {
  ValueId v;
  int contracted, other;  ///< the two matrix axes
  int lead;               ///< rank of the output minus its own
};

Side left_side(const UnitNode& c) {
  const ValueId a = c.input(0);
  return {a, c.rank(a) - 1, c.rank(a) - 2, c.rank(c.output()) - c.rank(a)};
}

Side right_side(const UnitNode& c) {
  const ValueId b = c.input(1);
  return {b, c.rank(b) - 2, c.rank(b) - 1, c.rank(c.output()) - c.rank(b)};
}

bool has_matrices(const UnitNode& c) { return c.rank(c.input(0)) >= 2 && c.rank(c.input(1)) >= 2; }

/// One constant operand: the activation, the axes that are contracted, and the output axis that the constant makes.
struct Weighted {
  size_t x, w;
  int x_axis, w_axis, born;
};

Weighted weighted(const UnitNode& c) {
  const int rank = c.rank(c.output());
  if (c.active(c.input(0))) return {0, 1, c.rank(c.input(0)) - 1, c.rank(c.input(1)) - 2, rank - 1};
  return {1, 0, c.rank(c.input(1)) - 2, c.rank(c.input(0)) - 1, rank - 2};
}

std::vector<int> other_axes(int rank, int axis) {
  std::vector<int> result;
  for (int a = 0; a < rank; ++a) {
    if (a != axis) result.push_back(a);
  }
  return result;
}

void assign_weighted(UnitContext& c) {
  const Weighted p = weighted(c);
  const ValueId x = c.input(p.x), out = c.output();
  const auto contracted = c.axis_ids(x, p.x_axis, other_axes(c.rank(x), p.x_axis));
  if (contracted) c.weight_sink(p.w, p.w_axis, *contracted);
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) {
    if (b.ragged != p.x_axis) result.push_back(b.shifted_axes(c.rank(out) - c.rank(x)));
  }
  if (c.dim(out, p.born) > 1) {
    result.push_back(Bundle::along(p.born, c.born({c.dim(out, p.born)})));
    c.weight_rows(p.w, p.born - c.rank(out) + c.rank(c.input(p.w)), result.back().ids);
  }
  c.set(out, std::move(result));
}

/// Makes the two matrix axes of a side ragged where they are mere rows, and ties rows that are summed.
void prepare(UnitContext& c, const Side& s) {
  for (size_t i = c.bundles(s.v).size(); i-- > 0;) {
    const Bundle b = c.bundles(s.v)[i];
    if (b.has(s.contracted) && b.ragged != s.contracted) {
      if (b.ragged == s.other) c.collapse(s.v, i, s.contracted);
      else c.turn(s.v, i, s.contracted);
    } else if (b.has(s.other) && b.ragged != s.contracted && b.ragged != s.other) {
      c.turn(s.v, i, s.other);
    }
  }
  for (size_t i = c.bundles(s.v).size(); i-- > 0;) {
    const Bundle& b = c.bundles(s.v)[i];
    if (b.ragged == s.contracted && b.has(s.other)) c.collapse(s.v, i, s.other);
  }
}

/// Ids of the contracted axes of both sides join; a fixed side freezes the other.
void contract(UnitContext& c, const Side& a, const Side& b) {
  const Bundle* in_a = find_ragged(c.bundles(a.v), a.contracted);
  const Bundle* in_b = find_ragged(c.bundles(b.v), b.contracted);
  if (!in_a || !in_b) {
    for (const Bundle* one : {in_a, in_b}) {
      if (one) c.freeze(one->ids, "MatMul contracts it with a fixed axis");
    }
    return;
  }
  const int rank = c.rank(c.output());  // the contracted axis as one more axis behind the output's
  const auto onto = [&](const Side& s, const Bundle& k) {
    return k.moved([&](int axis) { return axis == s.contracted ? rank : axis + s.lead; });
  };
  const Bundle wide_a = onto(a, *in_a), wide_b = onto(b, *in_b);
  Dims sizes = c.dims(c.output());
  sizes.push_back(c.dim(a.v, a.contracted));
  const std::vector<int> axes = merged_axes(wide_a.axes, wide_b.axes);
  c.units().unite(spread(wide_a, axes, sizes), spread(wide_b, axes, sizes));
  c.activation_sink(0, *in_a);
}

/// Batch axes that bear ids (heads of one channel): an elementwise pair.
void pair_batch(UnitContext& c, const std::vector<Bundle>& rest, std::vector<Bundle>& result) {
  const int rank = c.rank(c.output());
  for (int axis = 0; axis < rank - 2; ++axis) {
    std::vector<Bundle> pair;
    for (const Bundle& b : rest) {
      if (b.ragged == axis) pair.push_back(b);
    }
    if (pair.empty()) continue;
    size_t wide = 0;
    for (const Side& s : {left_side(c), right_side(c)}) {
      const int own = axis - s.lead;
      if (own >= 0 && c.dim(s.v, own) > 1) ++wide;
    }
    const bool plain = std::all_of(pair.begin(), pair.end(), [](const Bundle& b) { return b.axes.size() == 1; });
    if (pair.size() == wide && plain) {
      c.units().unite(pair.front().ids, pair.back().ids);
      result.push_back(pair.front());
    } else {
      for (const Bundle& b : pair) c.freeze(b.ids, "MatMul joins it with a fixed batch axis");
    }
  }
}

/// Q K^T, P V, K^T V: rows (heads) are shared, contracted ids join; heads themselves stay.
void assign_activations(UnitContext& c) {
  const Side a = left_side(c), b = right_side(c);
  prepare(c, a);
  prepare(c, b);
  std::vector<Bundle> rest, result;
  for (const Side& s : {a, b}) {
    for (const Bundle& k : c.bundles(s.v)) {
      if (k.ragged != s.contracted) rest.push_back(k.shifted_axes(s.lead));
    }
  }
  contract(c, a, b);
  for (const Bundle& k : rest) {
    if (k.ragged >= c.rank(c.output()) - 2) result.push_back(k);
  }
  pair_batch(c, rest, result);
  c.set(c.output(), std::move(result));
}

void cut_weighted(CutContext& c) {
  const Weighted p = weighted(c);
  const ValueId x = c.input(p.x), w = c.input(p.w), out = c.output();
  const std::vector<int64_t> in = c.order(x, p.x_axis);
  std::vector<Bundle> wanted = c.at_birth(out);
  std::erase_if(wanted, [&](const Bundle& k) { return k.ragged != p.born; });
  if (!wanted.empty() && wanted[0].axes.size() > 1) c.inexpressible(out, p.born, "batched weight with rows");
  c.set_input(p.w, cut_weight(c, w, [&](const Tensor& weight) {
    Tensor left = take(weight, p.w_axis, in);
    return wanted.empty() ? left : take(left, p.born - c.rank(out) + static_cast<int>(left.rank()), to_order(wanted[0].ids));
  }));
  std::vector<Bundle> left;
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged != p.x_axis) left.push_back(k.shifted_axes(c.rank(out) - c.rank(x)));
  }
  left.insert(left.end(), wanted.begin(), wanted.end());
  c.record(out, std::move(left));
}

void cut_activations(CutContext& c) {
  const Side a = left_side(c), b = right_side(c);
  ValueId now = c.current(1);
  if (find_ragged(c.kept(a.v), a.contracted) || find_ragged(c.kept(b.v), b.contracted)) {
    const Bundle wanted = c.along(a.v, a.contracted).moved(
        [&](int axis) { return axis == a.contracted ? b.contracted : axis + a.lead - b.lead; });
    now = c.reorder(b.v, now, c.along(b.v, b.contracted), wanted, "MatMul joins two orders");
  }
  std::vector<Bundle> left;
  for (const Side& s : {a, b}) {
    for (const Bundle& own : c.kept(s.v)) {
      if (own.ragged == s.contracted) continue;
      const Bundle k = own.shifted_axes(s.lead);
      if (const Bundle* twin = find_ragged(left, k.ragged)) {
        now = c.reorder(b.v, now, own, twin->shifted_axes(-b.lead), "MatMul joins two orders of batch");
      } else {
        left.push_back(k);
      }
    }
  }
  c.set_input(1, now);
  c.record(c.output(), std::move(left));
}

/// QLinearMatMul and MatMulInteger with a constant matrix on the right: what has one number for each column follows it.
struct QuantizedMatrix {
  size_t w;
  std::vector<size_t> of_columns;
  size_t zero_point;
};

std::optional<QuantizedMatrix> quantized_matrix(const UnitNode& c) {
  const QuantizedMatrix p = c.op() == "QLinearMatMul" ? QuantizedMatrix{3, {4, 5}, 5} : QuantizedMatrix{1, {3}, 3};
  if (!c.active(c.input(0)) || !c.constant(c.input(p.w))) return std::nullopt;
  if (c.rank(c.input(p.w)) != 2 || c.rank(c.input(0)) < 2) return std::nullopt;
  for (size_t i = 1; i < c.input_count(); ++i) {
    const ValueId v = c.input(i);
    if (i == p.w || v == kNone) continue;
    const bool column = std::find(p.of_columns.begin(), p.of_columns.end(), i) != p.of_columns.end();
    if (column && (c.active(v) || c.rank(v) > 1)) return std::nullopt;
    if (!column && element_count(c.dims(v)) != 1) return std::nullopt;
  }
  return p;
}

}  // namespace

void units::quantized_matmul(UnitContext& c) {
  const auto p = quantized_matrix(c);
  if (!p) return c.opaque();
  const ValueId x = c.input(0), out = c.output();
  const int last = c.rank(x) - 1;
  const auto contracted = c.axis_ids(x, last, other_axes(c.rank(x), last));
  if (contracted) c.weight_sink(p->w, 0, *contracted, 1, p->zero_point);
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) {
    if (b.ragged != last) result.push_back(b);
  }
  result.push_back(Bundle::along(last, c.born({c.dim(out, last)})));
  c.weight_rows(p->w, 1, result.back().ids);
  c.set(out, std::move(result));
}

void cuts::quantized_matmul(CutContext& c) {
  const auto p = quantized_matrix(c);
  if (!p) return c.opaque();
  const ValueId x = c.input(0), out = c.output();
  const int last = c.rank(x) - 1;
  const std::vector<int64_t> in = c.order(x, last);
  std::vector<Bundle> wanted = c.at_birth(out);
  std::erase_if(wanted, [&](const Bundle& k) { return k.ragged != last; });
  const std::vector<int64_t> columns = wanted.empty() ? whole_order(c.dim(out, last)) : to_order(wanted[0].ids);
  c.set_input(p->w, c.cut_constant(c.input(p->w), take(take(c.tensor(c.input(p->w)), 0, in), 1, columns)));
  for (const size_t i : p->of_columns) {
    const ValueId v = c.input(i);
    if (v != kNone && c.dims(v) == Dims{c.dim(out, last)}) c.set_input(i, c.cut_constant(v, take(c.tensor(v), 0, columns)));
  }
  std::vector<Bundle> left = c.kept(x);
  std::erase_if(left, [&](const Bundle& k) { return k.ragged == last; });
  left.insert(left.end(), wanted.begin(), wanted.end());
  c.record(out, std::move(left));
}

void units::matmul(UnitContext& c) {
  if (!has_matrices(c)) return c.opaque();
  if (c.active(c.input(0)) && c.active(c.input(1))) assign_activations(c);
  else assign_weighted(c);
}

void cuts::matmul(CutContext& c) {
  if (!has_matrices(c)) return c.opaque();
  if (c.active(c.input(0)) && c.active(c.input(1))) cut_activations(c);
  else cut_weighted(c);
}

}  // namespace espalier
