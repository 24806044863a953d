#include "passes/prune/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace espalier {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "espalier prune plan 1";

[[noreturn]] void bad(const std::string& message) { throw Error(ErrorKind::bad_data, "prune plan: " + message); }

class Fingerprint {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0);
  }
  void add(int64_t number) { add(std::to_string(number)); }
  std::string str() const {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  void mix(uint64_t byte) { hash_ = (hash_ ^ byte) * 1099511628211u; }  // FNV-1a
  uint64_t hash_ = 1469598103934665603u;
};

/// Three significant digits: enough to read, and short.
double readable(double score) {
  if (score == 0 || !std::isfinite(score)) return 0;
  const double scale = std::pow(10.0, 2 - std::floor(std::log10(std::abs(score))));
  return std::round(score * scale) / scale;
}

struct Born {
  NodeId node;
  std::vector<UnitBirth> births;  ///< of that node, in order
  int64_t channels = 0;
};

/// Births by node name, in order of birth. Positions of a node's births are counted through.
std::vector<std::pair<std::string, Born>> births_by_node(const UnitTable& table) {
  std::vector<std::pair<std::string, Born>> result;
  std::map<std::pair<NodeId, ValueId>, size_t> place;
  std::map<std::string, int> named;
  for (const UnitBirth& birth : table.births) {
    const auto [at, fresh] = place.try_emplace({birth.node, birth.state}, result.size());
    if (fresh) {
      std::string name = birth_name(*table.graph, birth);
      const int before = named[name]++;  // two branches of an If may name their nodes alike
      if (before > 0) name += "#" + std::to_string(before + 1);
      result.push_back({std::move(name), Born{birth.node, {}, 0}});
    }
    Born& born = result[at->second].second;
    born.births.push_back(birth);
    born.channels += birth.count;
  }
  return result;
}

/// The id at a channel of a node.
int32_t id_at(const Born& born, int64_t channel) {
  for (const UnitBirth& birth : born.births) {
    if (channel < birth.count) return birth.first + static_cast<int32_t>(channel);
    channel -= birth.count;
  }
  return -1;
}

Json to_json(const PrunePlan::Layer& layer) {
  Json json;
  json["node"] = layer.node;
  json["channels"] = layer.channels;
  json["kept"] = layer.kept;
  json["units"] = layer.units;
  if (!layer.scores.empty()) json["scores"] = layer.scores;
  return json;
}

template <class T>
T field(const Json& json, const char* name, const std::string& where) {
  if (!json.is_object() || !json.contains(name)) bad(where + " has no '" + std::string(name) + "'");
  try {
    return json.at(name).get<T>();
  } catch (const nlohmann::json::exception&) {
    bad(where + ": '" + std::string(name) + "' is of another kind than expected");
  }
}

PrunePlan::Layer layer_of(const Json& json, const std::string& group) {
  const std::string where = "a layer of group '" + group + "'";
  PrunePlan::Layer layer;
  layer.node = field<std::string>(json, "node", where);
  layer.channels = field<int64_t>(json, "channels", where);
  layer.kept = field<std::vector<int64_t>>(json, "kept", where);
  layer.units = field<std::vector<int64_t>>(json, "units", where);
  if (json.contains("scores")) layer.scores = field<std::vector<double>>(json, "scores", where);
  return layer;
}

}  // namespace

std::string structure_hash(const Graph& graph) {
  Fingerprint print;
  const auto value = [&](ValueId v) { print.add(v == kNone ? "" : graph.value(v).name); };
  for (const ValueId v : graph.inputs) value(v), print.add(graph.value(v).type.str());
  for (const ValueId v : graph.outputs) value(v);
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    print.add(node.op_type);
    print.add(node.version);
    for (const ValueId v : node.inputs) value(v);
    for (const ValueId v : node.outputs) value(v);
  }
  for (const auto& [v, initializer] : graph.initializers()) {
    value(v);
    for (const int64_t d : initializer.tensor.dims()) print.add(d);
  }
  return print.str();
}

PrunePlan make_plan(const UnitTable& table, const std::vector<bool>& keep, const std::vector<double>& scores, std::string made_by) {
  PrunePlan plan{structure_hash(*table.given), std::move(made_by), {}};
  const auto born = births_by_node(table);
  const auto kept = [&](int32_t unit) { return keep[static_cast<size_t>(unit)]; };
  for (const UnitGroup& group : unit_groups(table)) {
    if (group.free.empty()) continue;
    PrunePlan::Group entry;
    entry.name = group.name;
    entry.of = static_cast<int64_t>(group.members.size());
    entry.kept = std::count_if(group.members.begin(), group.members.end(), kept);
    for (const auto& [name, node] : born) {
      PrunePlan::Layer layer{name, node.channels, {}, {}, {}};
      for (int64_t c = 0; c < node.channels; ++c) {
        const int32_t unit = id_at(node, c);
        if (!std::binary_search(group.free.begin(), group.free.end(), unit)) continue;
        layer.units.push_back(c);
        if (kept(unit)) layer.kept.push_back(c);
        if (!scores.empty()) layer.scores.push_back(readable(scores[static_cast<size_t>(unit)]));
      }
      if (!layer.units.empty()) entry.layers.push_back(std::move(layer));
    }
    plan.groups.push_back(std::move(entry));
  }
  return plan;
}

std::vector<bool> apply_plan(const UnitTable& table, const PrunePlan& plan) {
  const std::string hash = structure_hash(*table.given);
  if (plan.model != hash) {
    throw Error(ErrorKind::bad_data, "prune plan: it was made for model " + plan.model + ", this one is " + hash)
        .hint("a plan fits only the model it was made for, before anything else changed its nodes");
  }
  const auto born = births_by_node(table);
  std::vector<bool> keep(static_cast<size_t>(table.units.size()), true);
  for (const PrunePlan::Group& group : plan.groups) {
    for (const PrunePlan::Layer& layer : group.layers) {
      const auto found = std::find_if(born.begin(), born.end(), [&](const auto& b) { return b.first == layer.node; });
      if (found == born.end()) bad("no units are born at node '" + layer.node + "'");
      const auto unit_of = [&](int64_t channel) {
        const int32_t id = channel < 0 ? -1 : id_at(found->second, channel);
        if (id < 0) bad("node '" + layer.node + "' has no channel " + std::to_string(channel));
        if (table.units.find(id) != id) bad("channel " + std::to_string(channel) + " of node '" + layer.node + "' belongs to a unit that is listed elsewhere");
        return static_cast<size_t>(id);
      };
      for (const int64_t channel : layer.units) keep[unit_of(channel)] = false;
      for (const int64_t channel : layer.kept) {
        if (std::find(layer.units.begin(), layer.units.end(), channel) == layer.units.end()) {
          bad("node '" + layer.node + "' keeps channel " + std::to_string(channel) + ", which is not among its units");
        }
        keep[unit_of(channel)] = true;
      }
    }
  }
  return keep;
}

std::string print_plan(const PrunePlan& plan) {
  std::string text = "{\"format\": " + Json(kFormat).dump() + ",\n \"model\": " + Json(plan.model).dump() +
                     ",\n \"made_by\": " + Json(plan.made_by).dump() + ",\n \"groups\": [";
  for (size_t g = 0; g < plan.groups.size(); ++g) {
    const PrunePlan::Group& group = plan.groups[g];
    text += std::string(g ? "," : "") + "\n  {\"name\": " + Json(group.name).dump() + ", \"kept\": " + std::to_string(group.kept) +
            ", \"of\": " + std::to_string(group.of) + ", \"layers\": [";
    for (size_t i = 0; i < group.layers.size(); ++i) text += std::string(i ? "," : "") + "\n    " + to_json(group.layers[i]).dump();
    text += "]}";
  }
  return text + "]}\n";
}

PrunePlan parse_plan(const std::string& text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    bad("not JSON at byte " + std::to_string(e.byte));
  }
  if (field<std::string>(json, "format", "the file") != kFormat) bad("its format is not '" + std::string(kFormat) + "'");
  PrunePlan plan;
  plan.model = field<std::string>(json, "model", "the file");
  if (json.contains("made_by")) plan.made_by = field<std::string>(json, "made_by", "the file");
  for (const Json& entry : field<std::vector<Json>>(json, "groups", "the file")) {
    PrunePlan::Group group;
    group.name = field<std::string>(entry, "name", "a group");
    group.kept = entry.value("kept", int64_t{0});
    group.of = entry.value("of", int64_t{0});
    for (const Json& layer : field<std::vector<Json>>(entry, "layers", "group '" + group.name + "'")) {
      group.layers.push_back(layer_of(layer, group.name));
    }
    plan.groups.push_back(std::move(group));
  }
  return plan;
}

}  // namespace espalier
