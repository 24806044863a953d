#include <fmt/format.h>

#include "lib/report/table.h"
#include "tools/command.h"

namespace espalier {
namespace {

Json to_json(const Pass& pass) {
  Json json;
  json["name"] = pass.name;
  json["contract"] = name(pass.contract);
  json["summary"] = pass.summary;
  json["options"] = Json::array();
  for (const PassOption& o : pass.options) {
    Json option = {{"name", o.name}, {"kind", name(o.kind)}, {"help", o.help}};
    if (!o.fallback.empty()) option["default"] = o.fallback;
    if (!o.choices.empty()) option["choices"] = o.choices;
    json["options"].push_back(std::move(option));
  }
  json["counters"] = Json::array();
  for (const PassCounter& c : pass.counters) json["counters"].push_back({{"name", c.name}, {"help", c.help}});
  return json;
}

void print_options(const Pass& pass) {
  if (pass.options.empty()) return;
  Table table({std::string(pass.name), "kind", "default", "what"});
  table.left(1).left(2).left(3);
  for (const PassOption& o : pass.options) {
    table.row({std::string(o.name), std::string(o.choices.empty() ? name(o.kind) : o.choices), std::string(o.fallback), std::string(o.help)});
  }
  fmt::print("\n{}", table.text());
}

void run(const Arguments& arguments) {
  Json json = Json::array();
  Table table({"pass", "contract", "what it does"});
  table.left(1).left(2);
  for (const Pass* pass : all_passes()) {
    table.row({std::string(pass->name), std::string(name(pass->contract)), std::string(pass->summary)});
    json.push_back(to_json(*pass));
  }
  if (arguments.json() != "-") {
    fmt::print("{}", table.text());
    for (const Pass* pass : all_passes()) print_options(*pass);
    fmt::print(
        "\ncontracts, checked after each pass: exact: the same bits; equal: outputs within 1e-4 of their scale;\n"
        "masked: equal to the original with the removed units multiplied by 0; trained: finite, not worse than a floor\n");
  }
  if (arguments.has("json")) write_json(arguments.json(), json);
}

}  // namespace

namespace commands {
extern const Command passes;
const Command passes = {
    .name = "passes",
    .summary = "list the passes that a pipeline can be made of, with their options",
    .examples = "espalier passes\n"
                "espalier passes --json passes.json",
    .run = run,
};
}  // namespace commands
}  // namespace espalier
