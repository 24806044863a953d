#include <algorithm>

#include "lib/analysis/opened_bodies.h"
#include "lib/analysis/unit_groups.h"
#include "lib/base/error.h"
#include "lib/ops/carried_states.h"

namespace espalier {
namespace {

/// Weights behind Reshape or Transpose are folded whatever their size.
constexpr int64_t kFoldBytes = int64_t{1} << 32;

InferOptions unit_options() {
  InferOptions options;
  options.fold_bytes_per_tensor = kFoldBytes;
  options.fold_bytes = kFoldBytes;
  return options;
}

/// The inputs are declared with just these sizes: nothing has to be bound.
bool declared_whole(const Graph& graph, const std::map<std::string, Dims>& dims) {
  return std::all_of(dims.begin(), dims.end(), [&](const auto& entry) {
    const auto declared = graph.value(graph.find_value(entry.first)).type.known_dims();
    return declared && *declared == entry.second;
  });
}

/// Facts with every size bound: those given, and of the others the first guess that fits.
FactTable bound_facts(const Graph& graph, const std::map<std::string, Dims>& given, const FactTable& symbolic) {
  constexpr int64_t kGuesses[] = {1, 32, 64, 16, 224};
  InferOptions options = unit_options();
  options.input_dims = concrete_inputs(graph, given);
  if (declared_whole(graph, options.input_dims)) return symbolic;
  std::optional<Error> first;
  for (const int64_t open : kGuesses) {
    const auto dims = concrete_inputs(graph, given, open);
    if (first && dims == options.input_dims) break;  // nothing is open
    options.input_dims = dims;
    try {
      return infer(graph, options);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_data) throw;
      if (!first) first = error;
    }
  }
  throw *first;
}

UnitFact unit_fact(const Fact& bound, const Fact& symbolic) {
  UnitFact fact;
  const Type &type = bound.type, &open = symbolic.type;
  if (!type.is_tensor()) return fact;
  fact.type = type.elem_type;
  fact.dims = type.known_dims();
  fact.constant = bound.constant;
  fact.bound = !symbolic.constant.has_value();
  fact.symbolic = open.dims && type.dims && open.dims->size() == type.dims->size() ? *open.dims
                                                                                    : SymbolicDims(type.dims ? type.dims->size() : 0);
  return fact;
}

/// A table with the facts of all values, bodies opened.
UnitTable blank_table(const Graph& graph, const std::map<std::string, Dims>& given) {
  const FactTable symbolic = infer(graph, unit_options());
  const FactTable bound = bound_facts(graph, given, symbolic);
  UnitTable table;
  table.given = &graph;
  table.opened = open_bodies(graph, bound, symbolic);
  table.graph = table.opened ? &table.opened->graph : &graph;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    table.facts.push_back(unit_fact(bound[static_cast<ValueId>(i)], symbolic[static_cast<ValueId>(i)]));
  }
  for (size_t i = 0; table.opened && i < table.opened->bound.size(); ++i) {
    table.facts.push_back(unit_fact(table.opened->bound[i], table.opened->symbolic[i]));
  }
  table.bundles.resize(table.facts.size());
  return table;
}

/// The ids that arrive at a state's output, as its input bears them.
using States = std::vector<std::vector<Bundle>>;

/// Rounds until the forms of states settle: an axis more of one state may reach another.
constexpr int kRounds = 8;

ValueId named(const Graph& graph, const std::string& name, const std::vector<ValueId>& among, const char* what) {
  const ValueId v = graph.find_value(name);
  if (v != kNone && std::find(among.begin(), among.end(), v) != among.end()) return v;
  throw Error(ErrorKind::usage, "state '" + name + "' is no " + what + " of the graph");
}

std::vector<StateUnits> find_states(const Graph& graph, const std::vector<UnitFact>& facts, const std::vector<DeclaredState>& states) {
  std::vector<StateUnits> result;
  for (const auto& [in, out] : states) {
    const StateUnits s{named(graph, in, graph.inputs, "input"), named(graph, out, graph.outputs, "output")};
    const auto &before = facts[static_cast<size_t>(s.input)].dims, &after = facts[static_cast<size_t>(s.output)].dims;
    if (!before || !after || *before != *after) {
      throw Error(ErrorKind::usage, "state '" + in + "' has shape " + (before ? to_string(*before) : "?") + ", its output '" + out + "' " +
                                        (after ? to_string(*after) : "?"));
    }
    const bool twice = std::any_of(result.begin(), result.end(), [&](const StateUnits& r) { return r.input == s.input || r.output == s.output; });
    if (twice) throw Error(ErrorKind::usage, "state '" + in + ":" + out + "' shares an end with another");
    result.push_back(s);
  }
  return result;
}

/// What opened Loops and Scans carry from one iteration to the next, as states of their bodies.
std::vector<StateUnits> find_carried(const UnitTable& table) {
  std::vector<StateUnits> result;
  if (!table.opened) return result;
  for (const OpenedBodies::Opened& body : table.opened->bodies) {
    const Node& end = table.graph->node(body.end);
    if (!end.has(kCarried)) continue;
    const CarriedStates states = carried_states(end, true);
    for (const int64_t k : end.require<std::vector<int64_t>>(kCarried)) {
      const auto i = static_cast<size_t>(k);
      result.push_back({body.inputs[states.in_body + i], end.inputs[body.first + states.out_of_body + i]});
    }
  }
  return result;
}

class Assignment {
 public:
  Assignment(const Graph& graph, const std::map<std::string, Dims>& input_dims, const std::vector<DeclaredState>& declared, const UnitRules& rules)
      : rules_(rules), blank_(blank_table(graph, input_dims)) {
    blank_.states = find_states(graph, blank_.facts, declared);
    const auto carried = find_carried(blank_);
    blank_.states.insert(blank_.states.end(), carried.begin(), carried.end());
    forms_.resize(blank_.states.size());
  }

  UnitTable run() {
    for (int round = 0;; ++round) {
      UnitTable table = blank_;
      const States born = bear(table);
      visit(table);
      const States arrived = at_outputs(table);
      if (same_forms(born, arrived)) return finish(std::move(table), born, arrived);
      if (round == kRounds) return finish(std::move(table), born, {});
      forms_ = arrived;
    }
  }

 private:
  /// Fresh ids at the states' inputs, in the forms that their outputs had last.
  States bear(UnitTable& table) const {
    States result(forms_.size());
    for (size_t i = 0; i < forms_.size(); ++i) {
      const ValueId input = table.states[i].input;
      for (const Bundle& form : forms_[i]) {
        const IndexArray ids = table.units.fresh(form.ids.dims());
        table.births.push_back({kNone, ids[0], static_cast<int32_t>(ids.size()), input});
        result[i].push_back({form.axes, ids, form.ragged});
      }
      table.bundles[static_cast<size_t>(input)] = result[i];
    }
    return result;
  }

  void visit(UnitTable& table) const {
    const Graph& graph = *table.graph;
    for (const NodeId id : visited_nodes(table)) {
      UnitContext context(table, id);
      for (const ValueId v : captured_values(graph, graph.node(id))) {
        context.freeze_value(v, graph.node(id).where() + " reads it from outside its body");
      }
      const Op* op = unit_op(table, graph.node(id), rules_);
      if (op) op->units(context);
      else context.opaque();
    }
  }

  static States at_outputs(const UnitTable& table) {
    States result;
    for (const StateUnits& s : table.states) {
      std::vector<Bundle> bundles = table.bundles[static_cast<size_t>(s.output)];
      std::sort(bundles.begin(), bundles.end(), [](const Bundle& a, const Bundle& b) { return a.ragged < b.ragged; });
      result.push_back(std::move(bundles));
    }
    return result;
  }

  static bool same_form(const std::vector<Bundle>& a, const std::vector<Bundle>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Bundle& x, const Bundle& y) {
      return x.axes == y.axes && x.ragged == y.ragged && x.ids.dims() == y.ids.dims();
    });
  }
  static bool same_forms(const States& a, const States& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_form); }

  /// States before and after are joined; every other output is frozen.
  static UnitTable finish(UnitTable table, const States& born, const States& arrived) {
    for (size_t i = 0; i < born.size(); ++i) {
      for (size_t k = 0; k < born[i].size(); ++k) {
        if (arrived.empty()) table.units.freeze(born[i][k].ids, "the state's input and output have no common form");
        else table.units.unite(born[i][k].ids, arrived[i][k].ids);
      }
    }
    for (const ValueId v : table.graph->outputs) {
      const bool state = !arrived.empty() && std::any_of(table.states.begin(), table.states.end(), [v](const StateUnits& s) { return s.output == v; });
      if (state) continue;
      for (const Bundle& b : table.bundles[static_cast<size_t>(v)]) table.units.freeze(b.ids, "graph output");
    }
    table.finish();
    return table;
  }

  const UnitRules& rules_;
  UnitTable blank_;
  States forms_;
};

}  // namespace

UnitTable assign_units(const Graph& graph, const std::map<std::string, Dims>& input_dims, const std::vector<DeclaredState>& states,
                       const UnitRules& rules) {
  return Assignment(graph, input_dims, states, rules).run();
}

}  // namespace espalier
