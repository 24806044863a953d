#include <algorithm>

#include "lib/ops/cut.h"
#include "lib/ops/einsum_equation.h"
#include "lib/ops/unit_rules_fused.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

/// Axes of operand i: the equation's labels, and where they stand in the result.
struct Term {
  const UnitNode& c;
  const Equation& equation;
  size_t i;

  ValueId v() const { return c.input(i); }
  const std::vector<Label>& labels() const { return equation.inputs[i]; }
  int axis(Label label) const { return axis_of(labels(), label); }
  Label label(int axis) const { return labels()[static_cast<size_t>(axis)]; }
  bool stays(int axis) const { return equation.in_output(label(axis)); }
  /// A bundle of axes that stay, on the result's axes.
  Bundle on_output(const Bundle& b) const {
    return b.moved([&](int axis) { return axis_of(equation.output, label(axis)); });
  }
  std::vector<int> others(int axis) const {
    std::vector<int> result;
    for (int a = 0; a < static_cast<int>(labels().size()); ++a) {
      if (a != axis) result.push_back(a);
    }
    return result;
  }
};

/// One operand, or two; no diagonals, nothing broadcast.
std::optional<Equation> simple_equation(const UnitNode& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) ranks.push_back(c.rank(c.input(i)));
  const Equation equation = read_equation(c.node(), ranks);
  if (equation.inputs.size() > 2 || !equation.has_no_diagonal()) return std::nullopt;
  if (equation.inputs.size() < 2) return equation;
  for (const Label label : equation.inputs[0]) {
    const int other = axis_of(equation.inputs[1], label);
    if (other >= 0 && c.dim(c.input(0), axis_of(equation.inputs[0], label)) != c.dim(c.input(1), other)) return std::nullopt;
  }
  return equation;
}

/// The active operand beside a constant one, or alone.
std::optional<size_t> single_active(const UnitNode& c) {
  if (c.input_count() == 1) return c.active(c.input(0)) ? std::optional<size_t>(0) : std::nullopt;
  if (c.active(c.input(0)) == c.active(c.input(1))) return std::nullopt;
  return c.active(c.input(0)) ? 0 : 1;
}

void sum_away(UnitContext& c, const Term& x, int axis) {
  c.collapse_rows(x.v(), axis);
  for (const Bundle& b : c.bundles(x.v())) {
    if (b.ragged == axis) c.activation_sink(x.i, b);
  }
}

void assign_weighted(UnitContext& c, const Equation& equation, size_t active) {
  const Term x{c, equation, active}, w{c, equation, 1 - active};
  const bool weighted = c.input_count() == 2;
  for (int axis = 0; axis < static_cast<int>(x.labels().size()); ++axis) {
    const int in_w = weighted ? w.axis(x.label(axis)) : -1;
    if (in_w < 0) {
      if (!x.stays(axis)) sum_away(c, x, axis);
      continue;
    }
    const auto ids = c.axis_ids(x.v(), axis, x.others(axis));
    if (!ids) continue;
    if (x.stays(axis)) c.weight_rows(w.i, in_w, *ids);
    else c.weight_sink(w.i, in_w, *ids);
  }
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x.v())) {
    if (x.stays(b.ragged)) result.push_back(x.on_output(b));
  }
  for (int axis = 0; weighted && axis < static_cast<int>(w.labels().size()); ++axis) {
    const int to = axis_of(equation.output, w.label(axis));
    if (to < 0 || x.axis(w.label(axis)) >= 0 || c.dim(c.output(), to) == 1) continue;
    result.push_back(Bundle::along(to, c.born({c.dim(c.output(), to)})));
    c.weight_rows(w.i, axis, result.back().ids);
  }
  c.set(c.output(), std::move(result));
}

/// Contracted axes are ragged and hang on axes that both operands have; rows of what stays hang on axes that stay.
void prepare(UnitContext& c, const Term& x, const Term& y) {
  for (int axis = 0; axis < static_cast<int>(x.labels().size()); ++axis) {
    if (x.stays(axis)) continue;
    if (y.axis(x.label(axis)) < 0) {
      sum_away(c, x, axis);
      continue;
    }
    for (size_t k = c.bundles(x.v()).size(); k-- > 0;) {
      const Bundle b = c.bundles(x.v())[k];
      if (!b.has(axis) || b.ragged == axis) continue;
      if (x.stays(b.ragged) && y.axis(x.label(b.ragged)) < 0) c.collapse(x.v(), k, axis);
      else c.turn(x.v(), k, axis);
    }
  }
  for (int axis = 0; axis < static_cast<int>(x.labels().size()); ++axis) {
    if (y.axis(x.label(axis)) >= 0) continue;
    for (size_t k = c.bundles(x.v()).size(); k-- > 0;) {
      const Bundle& b = c.bundles(x.v())[k];
      if (b.has(axis) && b.ragged != axis && !x.stays(b.ragged)) c.collapse(x.v(), k, axis);
    }
  }
}

/// Every label as an axis: the result's, then the contracted ones.
std::vector<Label> all_labels(const Equation& equation) {
  std::vector<Label> result = equation.output;
  for (const auto& labels : equation.inputs) {
    for (const Label label : labels) {
      if (axis_of(result, label) < 0) result.push_back(label);
    }
  }
  return result;
}

void assign_activations(UnitContext& c, const Equation& equation) {
  const Term a{c, equation, 0}, b{c, equation, 1};
  prepare(c, a, b);
  prepare(c, b, a);
  const std::vector<Label> labels = all_labels(equation);
  Dims sizes;
  for (const Label label : labels) sizes.push_back(a.axis(label) >= 0 ? c.dim(a.v(), a.axis(label)) : c.dim(b.v(), b.axis(label)));
  const auto wide = [&](const Term& t, const Bundle& k) {
    return k.moved([&](int axis) { return axis_of(labels, t.label(axis)); });
  };
  std::vector<Bundle> result;
  for (const Label label : labels) {
    const Bundle* in_a = a.axis(label) < 0 ? nullptr : find_ragged(c.bundles(a.v()), a.axis(label));
    const Bundle* in_b = b.axis(label) < 0 ? nullptr : find_ragged(c.bundles(b.v()), b.axis(label));
    const bool shared = a.axis(label) >= 0 && b.axis(label) >= 0, stays = equation.in_output(label);
    if (shared && in_a && in_b) {
      const Bundle x = wide(a, *in_a), y = wide(b, *in_b);
      const std::vector<int> axes = merged_axes(x.axes, y.axes);
      c.units().unite(spread(x, axes, sizes), spread(y, axes, sizes));
      if (stays) result.push_back({axes, spread(x, axes, sizes), x.ragged});
      else c.activation_sink(0, *in_a);
    } else if (shared) {
      for (const Bundle* one : {in_a, in_b}) {
        if (one) c.freeze(one->ids, "Einsum joins it with a fixed axis");
      }
    } else if (stays) {
      for (const Bundle* one : {in_a, in_b}) {
        if (one) result.push_back(wide(one == in_a ? a : b, *one));
      }
    }
  }
  c.set(c.output(), std::move(result));
}

void cut_weighted(CutContext& c, const Equation& equation, size_t active) {
  const Term x{c, equation, active}, w{c, equation, 1 - active};
  std::vector<Bundle> left;
  for (const Bundle& k : c.kept(x.v())) {
    if (x.stays(k.ragged)) left.push_back(x.on_output(k));
  }
  if (c.input_count() == 2) {
    Tensor weight = c.tensor(w.v());
    for (int axis = 0; axis < static_cast<int>(w.labels().size()); ++axis) {
      const int in_x = x.axis(w.label(axis)), to = axis_of(equation.output, w.label(axis));
      if (in_x >= 0) {
        weight = take(weight, axis, c.order(x.v(), in_x));
        continue;
      }
      const auto born = c.canonical(c.output());
      const Bundle* wanted = to < 0 ? nullptr : find_ragged(born, to);
      if (!wanted) continue;
      if (wanted->axes.size() > 1) c.inexpressible(c.output(), to, "Einsum weight with rows");
      weight = take(weight, axis, to_order(wanted->ids));
      left.push_back(*wanted);
    }
    c.set_input(w.i, c.cut_constant(w.v(), std::move(weight)));
  }
  c.record(c.output(), std::move(left));
}

void cut_activations(CutContext& c, const Equation& equation) {
  const Term a{c, equation, 0}, b{c, equation, 1};
  ValueId now = c.current(1);
  for (const Label label : a.labels()) {
    const int in_a = a.axis(label), in_b = b.axis(label);
    if (in_b < 0 || (!find_ragged(c.kept(a.v()), in_a) && !find_ragged(c.kept(b.v()), in_b))) continue;
    const Bundle wanted = c.along(a.v(), in_a).moved([&](int axis) { return b.axis(a.label(axis)); });
    now = c.reorder(b.v(), now, c.along(b.v(), in_b), wanted, "Einsum joins two orders");
  }
  c.set_input(1, now);
  std::vector<Bundle> left;
  for (const Term& t : {a, b}) {
    for (const Bundle& k : c.kept(t.v())) {
      if (!t.stays(k.ragged)) continue;
      Bundle moved = t.on_output(k);
      if (!find_ragged(left, moved.ragged)) left.push_back(std::move(moved));
    }
  }
  c.record(c.output(), std::move(left));
}

}  // namespace

void units::einsum(UnitContext& c) {
  const auto equation = simple_equation(c);
  if (!equation) return c.opaque();
  if (const auto active = single_active(c)) return assign_weighted(c, *equation, *active);
  if (c.input_count() == 2 && c.active(c.input(0))) return assign_activations(c, *equation);
  c.opaque();
}

void cuts::einsum(CutContext& c) {
  const auto equation = simple_equation(c);
  if (!equation) return c.opaque();
  if (const auto active = single_active(c)) return cut_weighted(c, *equation, *active);
  if (c.input_count() == 2 && c.active(c.input(0))) return cut_activations(c, *equation);
  c.opaque();
}

}  // namespace espalier
