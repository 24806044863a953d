#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "lib/analysis/trainable.h"
#include "lib/analysis/unit_groups.h"
#include "lib/onnx_io/load.h"
#include "lib/ops/op.h"
#include "lib/report/table.h"
#include "lib/report/units.h"
#include "passes/check_inputs.h"
#include "passes/pipeline.h"
#include "passes/simplify/inline_if.h"
#include "tools/command.h"
#include "tools/model_figures.h"

namespace espalier {
namespace {

struct OpRow {
  int64_t nodes = 0, macs = 0;
  bool opaque = false;
};

std::string op_name(const Node& node) { return node.domain.empty() ? node.op_type : node.domain + "::" + node.op_type; }

std::map<std::string, OpRow> op_rows(const Graph& graph, const CostTotals& totals) {
  std::map<std::string, OpRow> rows;
  for (const NodeId id : graph.nodes()) {
    OpRow& row = rows[op_name(graph.node(id))];
    ++row.nodes;
    row.opaque = row.opaque || !find_op(graph.node(id));
  }
  for (const NodeCost& cost : totals.nodes) rows[op_name(graph.node(cost.node))].macs += cost.cost.macs;
  return rows;
}

Json values_json(const Graph& graph, const std::vector<ValueId>& values) {
  Json list = Json::array();
  for (const ValueId v : values) list.push_back({{"name", graph.value(v).name}, {"type", graph.value(v).type.str()}});
  return list;
}

std::string opsets_text(const Graph& graph) {
  std::string text;
  for (const auto& [domain, version] : graph.opsets) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", domain.empty() ? "" : domain + " ", version);
  }
  return text;
}

int64_t elements(const Graph& graph, const std::vector<ValueId>& values) {
  int64_t count = 0;
  for (const ValueId v : values) count += graph.constant(v) ? graph.constant(v)->size() : 0;
  return count;
}

/// As papers give it: "0.655 G" from a tenth of it on.
std::string macs_text(int64_t macs) {
  const auto count = static_cast<double>(macs);
  return count >= 1e8 ? fixed_text(count * 1e-9, 3) + " G" : count_text(count);
}

void print_head(const Model& model, const ModelFigures& figures, const std::vector<ValueId>& trainable) {
  const Graph& graph = model.graph;
  const auto line = [](const char* what, const std::string& text) { fmt::print("{:<12}{}\n", what, printable(text)); };
  line("graph", graph.name);
  line("producer", model.producer_name + (model.producer_version.empty() ? "" : " " + model.producer_version));
  line("opset", opsets_text(graph) + fmt::format(", IR {}", model.ir_version));
  for (const ValueId v : fed_inputs(graph)) line("input", graph.value(v).name + ": " + graph.value(v).type.str());
  for (const ValueId v : graph.outputs) line("output", graph.value(v).name + ": " + graph.value(v).type.str());
  line("parameters", fmt::format("{} ({})", figures.params, count_text(static_cast<double>(figures.params))));
  line("trainable", fmt::format("{} in {} tensors", elements(graph, trainable), trainable.size()));
  std::string sizes;
  for (const auto& [input, dims] : figures.dims) sizes += (sizes.empty() ? "" : ", ") + input + " " + to_string(dims);
  line("MACs", figures.macs_known ? fmt::format("{} ({}) with {}", figures.macs, macs_text(figures.macs), sizes)
                                  : "not known: no input sizes were found that fit");
  line("file", bytes_text(static_cast<double>(figures.bytes)));
  for (const auto& [key, value] : model.metadata) {
    if (key == kPipelineKey) line("made by", value);
  }
}

/// What pruning could take: groups of units, and why the others stay.
struct Prunable {
  std::vector<UnitGroup> groups;
  std::map<std::string, int64_t> frozen;
  size_t free = 0, free_groups = 0;
};

/// As prune does it: where the condition of an If is known, its branch stands in its place.
Prunable prunable_of(Graph graph, const ModelFigures& figures) {
  passes::inline_known_branches(graph);
  const UnitTable table = assign_units(graph, figures.dims);
  Prunable result;
  result.groups = unit_groups(table);
  result.frozen = frozen_reasons(table, result.groups);
  for (const UnitGroup& g : result.groups) {
    result.free += g.free.size();
    result.free_groups += g.free.empty() ? 0 : 1;
  }
  return result;
}

void print_prunable(const Prunable& prunable, bool verbose) {
  fmt::print("{:<12}{} units in {} of {} groups\n", "prunable", prunable.free, prunable.free_groups, prunable.groups.size());
  for (const auto& [reason, n] : prunable.frozen) fmt::print("{:<12}{}: {}\n", "frozen", n, printable(reason));
  if (!verbose || prunable.groups.empty()) return;
  Table table({"group", "units", "free"});
  for (const UnitGroup& g : prunable.groups) table.row({g.name, std::to_string(g.members.size()), std::to_string(g.free.size())});
  fmt::print("\n{}", table.text());
}

Json to_json(const Prunable& prunable) {
  Json json = {{"free", prunable.free}, {"groups", Json::array()}, {"frozen", Json::object()}};
  for (const UnitGroup& g : prunable.groups) json["groups"].push_back({{"name", g.name}, {"units", g.members.size()}, {"free", g.free.size()}});
  for (const auto& [reason, n] : prunable.frozen) json["frozen"][reason] = n;
  return json;
}

void print_ops(const std::map<std::string, OpRow>& rows) {
  Table table({"operator", "nodes", "MACs"});
  std::vector<std::pair<std::string, OpRow>> sorted(rows.begin(), rows.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::pair(-a.second.macs, -a.second.nodes) < std::pair(-b.second.macs, -b.second.nodes);
  });
  for (const auto& [op, row] : sorted) {
    table.row({op + (row.opaque ? " (opaque)" : ""), std::to_string(row.nodes), row.macs ? count_text(static_cast<double>(row.macs)) : "-"});
  }
  fmt::print("\n{}", table.text());
}

void run(const Arguments& arguments) {
  const Model model = load_any(arguments.positional(0));
  const Graph& graph = model.graph;
  const ModelFigures figures = figures_of(model);
  const FactTable facts = facts_for(model, figures);
  const auto rows = op_rows(graph, graph_cost(graph, facts));
  const auto trainable = trainable_parameters(graph, facts);

  Json json;
  json["model"] = arguments.positional(0);
  json["graph"] = graph.name;
  json["producer"] = model.producer_name;
  json["ir"] = model.ir_version;
  json["opsets"] = Json::object();
  for (const auto& [domain, version] : graph.opsets) json["opsets"][domain] = version;
  json["inputs"] = values_json(graph, fed_inputs(graph));
  json["outputs"] = values_json(graph, graph.outputs);
  json.update(to_json(figures));
  json["ops"] = Json::object();
  for (const auto& [op, row] : rows) json["ops"][op] = {{"nodes", row.nodes}, {"macs", row.macs}, {"opaque", row.opaque}};
  json["trainable"] = Json::array();
  for (const ValueId v : trainable) json["trainable"].push_back({{"name", graph.value(v).name}, {"size", graph.constant(v) ? graph.constant(v)->size() : 0}});

  const Prunable prunable = prunable_of(graph, figures);
  json["units"] = to_json(prunable);

  if (arguments.json() != "-") {
    print_head(model, figures, trainable);
    print_prunable(prunable, arguments.verbose());
    print_ops(rows);
    if (arguments.verbose() && !trainable.empty()) {
      Table table({"trainable", "type"});
      table.left(1);
      for (const ValueId v : trainable) table.row({graph.value(v).name, facts.type(v).str()});
      fmt::print("\n{}", table.text());
    }
  }
  if (arguments.has("json")) write_json(arguments.json(), json);
}

}  // namespace

namespace commands {
extern const Command info;
const Command info = {
    .name = "info",
    .summary = "show inputs, outputs, operators, parameters, MACs; what is trainable, prunable, opaque",
    .examples = "espalier info net.onnx\n"
                "espalier info net.onnx -v              # trainable tensors by name\n"
                "espalier info net.onnx --json -",
    .positional = {"MODEL"},
    .run = run,
};
}  // namespace commands
}  // namespace espalier
