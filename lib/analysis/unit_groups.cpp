#include "lib/analysis/unit_groups.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "lib/base/error.h"

namespace espalier {
namespace {

std::vector<bool> live_nodes(const Graph& graph) {
  std::vector<bool> needed(graph.value_count()), live(graph.node_limit());
  for (const ValueId v : graph.outputs) needed[static_cast<size_t>(v)] = true;
  const auto nodes = graph.nodes();
  for (size_t i = nodes.size(); i-- > 0;) {
    const Node& node = graph.node(nodes[i]);
    const bool lives = std::any_of(node.outputs.begin(), node.outputs.end(),
                                   [&](ValueId v) { return v != kNone && needed[static_cast<size_t>(v)]; });
    if (!lives) continue;
    live[static_cast<size_t>(nodes[i])] = true;
    for (const ValueId v : node.inputs) {
      if (v != kNone) needed[static_cast<size_t>(v)] = true;
    }
    for (const ValueId v : captured_values(graph, node)) needed[static_cast<size_t>(v)] = true;
  }
  return live;
}

void collect_captured(const Body& body, const Graph& graph, std::set<ValueId>& found) {
  for (size_t i = 0; i < body->value_count(); ++i) {
    const Value& value = body->value(static_cast<ValueId>(i));
    if (!value.captured) continue;
    const ValueId v = graph.find_value(value.name);
    if (v != kNone) found.insert(v);
  }
  for (const std::string& name : body->captured_by_bodies()) {
    const ValueId v = graph.find_value(name);
    if (v != kNone) found.insert(v);
  }
}

/// Groups of ids by connected bundles.
class Grouping {
 public:
  explicit Grouping(const UnitTable& table) : table_(table) { link_.fresh({std::max(table.units.size(), 1)}); }

  std::vector<UnitGroup> run() {
    for (const auto& list : table_.bundles) {
      for (const Bundle& b : list) add(b);
    }
    std::map<int32_t, UnitGroup> groups;
    for (const IndexArray& rows : bundles_) {
      UnitGroup& group = groups[link_.find(rows[0])];
      group.bundles.push_back(rows);
      group.members.insert(group.members.end(), rows.values().begin(), rows.values().end());
    }
    for (const RowConstraint& c : table_.rows) add_rows(groups, c);
    std::vector<UnitGroup> result;
    for (auto& [root, group] : groups) {
      std::sort(group.members.begin(), group.members.end());
      group.members.erase(std::unique(group.members.begin(), group.members.end()), group.members.end());
      std::copy_if(group.members.begin(), group.members.end(), std::back_inserter(group.free),
                   [&](int32_t unit) { return !table_.units.frozen(unit); });
      group.name = name_of(group.members.front());
      result.push_back(std::move(group));
    }
    return result;
  }

 private:
  void add(const Bundle& b) {
    const IndexArray rows = table_.units.find(b.rows());
    if (rows.size() == 0 || known(seen_, rows)) return;
    bundles_.push_back(rows);
    const IndexArray flat = rows.reshaped({rows.size()});
    const int64_t zero = 0;
    link_.unite(flat.taken(0, {&zero, 1}), flat);
  }

  static bool known(std::unordered_multimap<size_t, IndexArray>& seen, const IndexArray& ids) {
    size_t hash = static_cast<size_t>(ids.dims()[0]);
    for (const int32_t id : ids.values()) hash = hash * 1000003 + static_cast<size_t>(id);
    const auto [begin, end] = seen.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (it->second == ids) return true;
    }
    seen.emplace(hash, ids);
    return false;
  }

  void add_rows(std::map<int32_t, UnitGroup>& groups, const RowConstraint& c) {
    if (c.ids.size() == 0 || c.ids.constant_along(0) || known(seen_rows_, c.ids)) return;
    const auto found = groups.find(link_.find(c.ids[0]));
    if (found != groups.end()) found->second.rows.push_back(c);
  }

  std::string name_of(int32_t unit) const {
    for (const UnitBirth& birth : table_.births) {
      if (unit >= birth.first && unit < birth.first + birth.count) return birth_name(*table_.graph, birth);
    }
    return "unit " + std::to_string(unit);
  }

  const UnitTable& table_;
  UnitSet link_;
  std::vector<IndexArray> bundles_;
  std::unordered_multimap<size_t, IndexArray> seen_, seen_rows_;
};

}  // namespace

std::map<std::string, Dims> concrete_inputs(const Graph& graph, const std::map<std::string, Dims>& given, int64_t open) {
  std::map<std::string, Dims> result = given;
  std::map<std::string, int64_t> symbols;
  for (const auto& [name, dims] : given) {
    const ValueId v = graph.find_value(name);
    if (v == kNone || !graph.value(v).type.has_rank() || graph.value(v).type.dims->size() != dims.size()) continue;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (const auto symbol = (*graph.value(v).type.dims)[i].symbol_name()) symbols.emplace(*symbol, dims[i]);
    }
  }
  for (const ValueId v : graph.inputs) {
    const Value& value = graph.value(v);
    if (graph.initializer(v) || result.contains(value.name) || !value.type.is_tensor() || !value.type.has_rank()) continue;
    Dims dims;
    for (const Dim& dim : *value.type.dims) {
      const Dim known = dim.substitute(symbols);
      const int64_t guess = dims.empty() ? 1 : open;
      dims.push_back(known.known() && known.value() > 0 ? known.value() : guess);
      if (const auto symbol = dim.symbol_name()) symbols.try_emplace(*symbol, dims.back());
    }
    result.emplace(value.name, std::move(dims));
  }
  return result;
}

std::vector<ValueId> captured_values(const Graph& graph, const Node& node) {
  std::set<ValueId> found;
  for (const Attribute& attribute : node.attributes) {
    if (const Body* body = std::get_if<Body>(&attribute.value)) collect_captured(*body, graph, found);
    if (const auto* bodies = std::get_if<std::vector<Body>>(&attribute.value)) {
      for (const Body& body : *bodies) collect_captured(body, graph, found);
    }
  }
  return {found.begin(), found.end()};
}

std::vector<NodeId> visited_nodes(const UnitTable& table) {
  const std::vector<bool> live = live_nodes(*table.graph);
  std::vector<NodeId> result;
  for (const NodeId id : table.graph->nodes()) {
    const Node& node = table.graph->node(id);
    const bool constant = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v == kNone || table.facts[static_cast<size_t>(v)].constant;
    });
    if (live[static_cast<size_t>(id)] && !constant) result.push_back(id);
  }
  return result;
}

const Op* unit_op(const UnitTable& table, const Node& node, const UnitRules& rules) {
  const Op* op = rules ? rules(node) : find_op(node);
  if (!op || !op->units || !op->cut) return nullptr;
  const auto sized = [&](ValueId v) { return v == kNone || table.facts[static_cast<size_t>(v)].dims; };
  const bool all = std::all_of(node.inputs.begin(), node.inputs.end(), sized) &&
                   std::all_of(node.outputs.begin(), node.outputs.end(), sized);
  return all ? op : nullptr;
}

std::string node_name(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.name.empty()) return node.name;
  for (const ValueId v : node.outputs) {
    if (v != kNone) return graph.value(v).name;
  }
  return node.op_type;
}

std::string birth_name(const Graph& graph, const UnitBirth& birth) {
  return birth.node == kNone ? graph.value(birth.state).name : node_name(graph, birth.node);
}

std::vector<UnitGroup> unit_groups(const UnitTable& table) { return Grouping(table).run(); }

std::map<std::string, int64_t> frozen_reasons(const UnitTable& table, const std::vector<UnitGroup>& groups) {
  std::map<std::string, int64_t> result;
  for (const UnitGroup& group : groups) {
    for (const int32_t unit : group.members) {
      if (table.units.frozen(unit)) ++result[table.units.reason(unit)];
    }
  }
  return result;
}

}  // namespace espalier
