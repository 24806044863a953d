#include "lib/analysis/importance.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lib/base/error.h"
#include "lib/base/random.h"

namespace espalier {
namespace {

constexpr std::array<std::pair<std::string_view, Criterion>, 5> kNames = {{{"l1", Criterion::l1},
                                                                           {"l2", Criterion::l2},
                                                                           {"bn", Criterion::batch_norm},
                                                                           {"taylor", Criterion::taylor},
                                                                           {"random", Criterion::random}}};

/// A weight and the units along one of its axes.
struct Slice {
  NodeId node;
  size_t input;
  int axis;
  int64_t groups;
  IndexArray ids;
};

std::vector<Slice> slices(const UnitTable& table) {
  std::vector<Slice> result;
  for (const WeightRows& r : table.weight_rows) result.push_back({r.node, r.input, r.axis, r.groups, r.ids});
  for (const Sink& s : table.sinks) {
    if (s.weight) result.push_back({s.node, s.input, s.axis, s.groups, s.units.ids});
  }
  return result;
}

bool normalises(const UnitTable& table, const Slice& s) { return table.graph->node(s.node).op_type == "BatchNormalization"; }

ValueId weight_of(const UnitTable& table, const Slice& s) { return table.graph->node(s.node).inputs[s.input]; }

/// Adds f(element) of the weight to the unit of each position.
void add(const UnitTable& table, const Slice& s, const std::vector<double>& elements, std::vector<double>& worth) {
  const Dims& dims = table.facts[static_cast<size_t>(weight_of(table, s))].constant->dims();
  const auto axis = static_cast<size_t>(s.axis);
  int64_t inner = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  const int64_t rows_each = std::max<int64_t>(1, dims[0] / s.groups), row = static_cast<int64_t>(elements.size()) / dims[0];
  for (size_t i = 0; i < elements.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t group = s.groups > 1 ? at / row / rows_each : 0;
    const int32_t id = s.ids[group * dims[axis] + at / inner % dims[axis]];
    worth[static_cast<size_t>(table.units.find(id))] += elements[i];
  }
}

/// Inputs with the scale and the zero point of a node's quantized weight.
struct Quantized {
  std::string_view op;
  size_t weight, scale, zero;
};
constexpr size_t kNoInput = 99;
constexpr Quantized kQuantized[] = {
    {"QLinearConv", 3, 4, 5}, {"QLinearMatMul", 3, 4, 5}, {"ConvInteger", 1, kNoInput, 3}, {"MatMulInteger", 1, kNoInput, 3}};

/// A weight as numbers: integers less their zero point, times their scale.
std::vector<double> weight_elements(const UnitTable& table, const Slice& s) {
  const Tensor& weight = *table.facts[static_cast<size_t>(weight_of(table, s))].constant;
  std::vector<double> elements = weight.to_doubles();
  const Node& node = table.graph->node(s.node);
  const auto same = [&](const Quantized& q) { return q.op == node.op_type; };
  const auto form = std::find_if(std::begin(kQuantized), std::end(kQuantized), same);
  if (form == std::end(kQuantized) || form->weight != s.input) return elements;
  const auto numbers = [&](size_t i) {
    const Tensor* each = node.has_input(i) ? &*table.facts[static_cast<size_t>(node.inputs[i])].constant : nullptr;
    return each ? each->to_doubles() : std::vector<double>();
  };
  const std::vector<double> scale = numbers(form->scale), zero = numbers(form->zero);
  const bool conv = node.op_type.find("Conv") != std::string::npos;  // outputs are the first axis, of a matrix the last
  const size_t outputs = static_cast<size_t>(weight.dims()[conv ? 0 : weight.rank() - 1]), row = elements.size() / outputs;
  for (size_t i = 0; i < elements.size(); ++i) {
    const size_t output = conv ? i / row : i % outputs;
    if (!zero.empty()) elements[i] -= zero[zero.size() == 1 ? 0 : output];
    if (!scale.empty()) elements[i] *= scale[scale.size() == 1 ? 0 : output];
  }
  return elements;
}

std::vector<double> l1_or_l2(const UnitTable& table, bool squared) {
  std::vector<double> worth(static_cast<size_t>(table.units.size()), 0.0);
  for (const Slice& s : slices(table)) {
    if (normalises(table, s)) continue;
    std::vector<double> elements = weight_elements(table, s);
    for (double& e : elements) e = squared ? e * e : std::abs(e);
    add(table, s, elements, worth);
  }
  if (squared) {
    for (double& w : worth) w = std::sqrt(w);
  }
  return worth;
}

/// Groups that a criterion says nothing of are judged by their weights.
void fill_unscored(const UnitTable& table, std::vector<double>& worth) {
  const std::vector<double> otherwise = l1_or_l2(table, true);
  for (const UnitGroup& group : unit_groups(table)) {
    const auto scored = [&](int32_t unit) { return worth[static_cast<size_t>(unit)] > 0; };
    if (std::any_of(group.members.begin(), group.members.end(), scored)) continue;
    for (const int32_t unit : group.members) worth[static_cast<size_t>(unit)] = otherwise[static_cast<size_t>(unit)];
  }
}

std::vector<double> batch_norm(const UnitTable& table) {
  std::vector<double> worth(static_cast<size_t>(table.units.size()), 0.0);
  for (const Slice& s : slices(table)) {
    if (!normalises(table, s) || s.input != 1) continue;
    std::vector<double> elements = weight_elements(table, s);
    for (double& e : elements) e = std::abs(e);
    add(table, s, elements, worth);
  }
  fill_unscored(table, worth);
  return worth;
}

std::vector<double> taylor(const UnitTable& table, const std::map<std::string, Tensor>& gradients) {
  std::vector<double> worth(static_cast<size_t>(table.units.size()), 0.0);
  bool any = false;
  for (const Slice& s : slices(table)) {
    const std::string& name = table.graph->value(weight_of(table, s)).name;
    const auto found = gradients.find(name);
    if (found == gradients.end()) continue;
    std::vector<double> elements = weight_elements(table, s);
    const std::vector<double> gradient = found->second.to_doubles();
    if (gradient.size() != elements.size()) {
      throw Error(ErrorKind::internal, "gradient of '" + name + "' has " + std::to_string(gradient.size()) + " elements, expected " +
                                           std::to_string(elements.size()));
    }
    for (size_t i = 0; i < elements.size(); ++i) elements[i] = std::abs(elements[i] * gradient[i]);
    add(table, s, elements, worth);
    any = true;
  }
  fill_unscored(table, worth);
  if (!any) throw Error(ErrorKind::usage, "taylor importance needs gradients, and there is none for any weight").hint("give data with labels");
  return worth;
}

/// NaN has no place in an order of units.
[[noreturn]] void fail_not_finite(const UnitTable& table, const UnitGroup& group) {
  const auto within = [&](int32_t id) { return std::find(group.free.begin(), group.free.end(), table.units.find(id)) != group.free.end(); };
  for (const Slice& s : slices(table)) {
    const std::vector<double> elements = weight_elements(table, s);
    if (std::all_of(elements.begin(), elements.end(), [](double e) { return std::isfinite(e); })) continue;
    if (std::none_of(s.ids.values().begin(), s.ids.values().end(), within)) continue;
    const Node& node = table.graph->node(s.node);
    throw Error(ErrorKind::bad_data, "node '" + node.name + "' (" + node.op_type + "): weight '" + table.graph->value(weight_of(table, s)).name +
                                         "' is not finite, its units cannot be put in an order");
  }
  throw Error(ErrorKind::non_finite, "the worth of a group of " + std::to_string(group.members.size()) + " units is not finite");
}

/// Divides each group by a power of the mean of its free units.
void normalise(const UnitTable& table, double power, std::vector<double>& worth) {
  for (const UnitGroup& group : unit_groups(table)) {
    double sum = 0;
    for (const int32_t unit : group.free) sum += worth[static_cast<size_t>(unit)];
    if (!std::isfinite(sum)) fail_not_finite(table, group);
    if (sum <= 0) continue;
    const double by = std::pow(sum / static_cast<double>(group.free.size()), power);
    for (const int32_t unit : group.free) worth[static_cast<size_t>(unit)] /= by;
  }
}

}  // namespace

Criterion parse_criterion(std::string_view text) {
  for (const auto& [word, criterion] : kNames) {
    if (word == text) return criterion;
  }
  throw Error(ErrorKind::usage, "there is no importance criterion '" + std::string(text) + "'").hint("l1, l2, bn, taylor or random");
}

std::string_view name(Criterion criterion) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return n.second == criterion; })->first;
}

std::vector<double> unit_importance(const UnitTable& table, const ImportanceOptions& options) {
  std::vector<double> worth;
  switch (options.criterion) {
    case Criterion::l1: worth = l1_or_l2(table, false); break;
    case Criterion::l2: worth = l1_or_l2(table, true); break;
    case Criterion::batch_norm: worth = batch_norm(table); break;
    case Criterion::taylor: worth = taylor(table, options.gradients); break;
    case Criterion::random: {
      const Random random(options.seed, RandomUse::shuffle, 2);
      worth.resize(static_cast<size_t>(table.units.size()));
      for (size_t i = 0; i < worth.size(); ++i) worth[i] = table.units.find(static_cast<int32_t>(i)) == static_cast<int32_t>(i) ? random.uniform(i) : 0;
    }
  }
  normalise(table, options.normalisation, worth);
  return worth;
}

}  // namespace espalier
