#include <fmt/format.h>

#include "lib/ops/op.h"
#include "lib/ops/schema_versions.h"
#include "lib/report/table.h"
#include "tools/command.h"

namespace espalier {
namespace {

struct Facet {
  const char* name;
  bool (*has)(const Op&);
};

constexpr Facet kFacets[] = {
    {"infer", [](const Op& o) { return o.infer != nullptr; }},
    {"evaluate", [](const Op& o) { return o.evaluate != nullptr; }},
    {"lower", [](const Op& o) { return o.lower || o.element || o.is_view; }},
    {"gradient", [](const Op& o) { return o.gradient != nullptr; }},
    {"units", [](const Op& o) { return o.units != nullptr; }},
    {"cut", [](const Op& o) { return o.cut != nullptr; }},
    {"cost", [](const Op& o) { return o.cost != nullptr; }},
    {"parameters", [](const Op& o) { return o.parameters != nullptr; }},
};

/// The newest form of the operator that is read.
int newest_form(const Op& op) { return op.domain.empty() ? schema_version(op.name, op.until) : 1; }

/// The last opset in which that form is the operator's.
int last_opset(const Op& op) {
  int opset = newest_form(op);
  while (op.domain.empty() && opset < kNewestOpset && schema_version(op.name, opset + 1) <= op.until) ++opset;
  return opset;
}

void run(const Arguments& arguments) {
  const bool internal = arguments.flag("internal");
  std::vector<std::string> header = {"operator", "versions"};
  for (const Facet& f : kFacets) header.push_back(f.name);
  Table table(header);
  for (size_t column = 1; column < header.size(); ++column) table.left(column);
  Json json = Json::array();
  for (const Op* op : all_ops()) {
    if (!internal && op->domain == kInternalDomain) continue;
    const int newest = newest_form(*op);
    const std::string name = op->domain.empty() ? std::string(op->name) : fmt::format("{}.{}", op->domain, op->name);
    std::vector<std::string> row = {name, op->since == newest ? std::to_string(newest) : fmt::format("{}-{}", op->since, newest)};
    Json entry = {{"name", op->name}, {"domain", op->domain}, {"since", op->since}, {"newest", newest}, {"until", last_opset(*op)}};
    for (const Facet& f : kFacets) {
      row.push_back(f.has(*op) ? "yes" : "-");
      entry[f.name] = f.has(*op);
    }
    table.row(std::move(row));
    json.push_back(std::move(entry));
  }
  if (arguments.flag("markdown")) {
    fmt::print("{}", table.markdown());
  } else if (arguments.json() != "-") {
    fmt::print("{}", table.text());
    fmt::print(
        "\nwhat a gap means:\n"
        "  lower       (a step of its own, a link of fused elementwise chains, or no step at all: a view)\n"
        "              runs by its plain reference, slower, in plain layouts\n"
        "  gradient    nothing before it can be trained through it; integer and shape operators have none\n"
        "  units, cut  freezes the units that reach it, with its name as the reason\n"
        "  cost        counts as bytes moved only: it has no multiplications of weights\n"
        "  parameters  none of its inputs is a weight\n"
        "every operator that is not listed is opaque: kept byte for byte, never pruned or differentiated through, not run\n");
  }
  if (arguments.has("json")) write_json(arguments.json(), json);
}

std::vector<OptionSpec> options() {
  return {{"internal", "", "list the operators of training graphs, too", ""},
          {"markdown", "", "print the table as Markdown", ""}};
}

}  // namespace

namespace commands {
extern const Command ops;
const Command ops = {
    .name = "ops",
    .summary = "list the operators and what is known of each",
    .examples = "espalier ops\n"
                "espalier ops --internal\n"
                "espalier ops --markdown > ops.md\n"
                "espalier ops --json -",
    .options = options,
    .run = run,
};
}  // namespace commands
}  // namespace espalier
