#include "passes/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/analysis/run_seed.h"
#include "lib/onnx_io/load.h"
#include "lib/report/table.h"
#include "passes/check_inputs.h"
#include "tools/command.h"
#include "tools/data_options.h"

namespace espalier {
namespace {

/// The worst difference of each output over all inputs.
std::vector<OutputDifference> compare_models(const Model& a, const Model& b, const std::vector<Feeds>& sets) {
  std::vector<OutputDifference> worst;
  for (const Feeds& feeds : sets) {
    const Feeds left = run_graph(a.graph, feeds), right = run_graph(b.graph, feeds);
    for (const ValueId v : a.graph.outputs) {
      const std::string& output = a.graph.value(v).name;
      const OutputDifference d = difference(output, left.at(output), right.at(output));
      const auto known = std::find_if(worst.begin(), worst.end(), [&](const auto& w) { return w.name == output; });
      if (known == worst.end()) worst.push_back(d);
      else if (d.relative() > known->relative()) *known = d;
    }
  }
  return worst;
}

void check_interfaces(const Graph& a, const Graph& b) {
  for (const ValueId v : fed_inputs(a)) {
    const ValueId other = b.find_value(a.value(v).name);
    if (other == kNone || !b.is_input(other)) {
      throw Error(ErrorKind::verification, "the second model has no input '" + a.value(v).name + "'");
    }
  }
  for (const ValueId v : fed_inputs(b)) {
    const ValueId other = a.find_value(b.value(v).name);
    if (other == kNone || !a.is_input(other)) {
      throw Error(ErrorKind::verification, "the first model has no input '" + b.value(v).name + "'");
    }
  }
  for (const ValueId v : a.outputs) {
    const ValueId other = b.find_value(a.value(v).name);
    if (other == kNone || !b.is_output(other)) {
      throw Error(ErrorKind::verification, "the second model has no output '" + a.value(v).name + "'");
    }
  }
}

std::vector<Feeds> inputs_for(const Arguments& arguments, const Graph& graph) {
  const int64_t samples = arguments.integer("samples", 1);
  if (arguments.has("data")) return feeds_of(dataset_of(arguments, "data", graph), preprocessing_of(arguments), graph, samples);
  const auto dims = choose_input_dims(graph, {});
  std::vector<Feeds> sets;
  for (uint32_t run = 0; run < 4; ++run) sets.push_back(generate_inputs(graph, dims, arguments.seed(), run));
  return sets;
}

void run(const Arguments& arguments) {
  Model a = load_any(arguments.positional(0)), b = load_any(arguments.positional(1));
  for (Model* model : {&a, &b}) set_run_seed(model->graph, arguments.seed());
  check_interfaces(a.graph, b.graph);
  const auto sets = inputs_for(arguments, a.graph);
  const auto differences = compare_models(a, b, sets);

  Json json;
  json["a"] = arguments.positional(0);
  json["b"] = arguments.positional(1);
  json["runs"] = sets.size();
  json["outputs"] = Json::array();
  Table table({"output", "max abs error", "share of scale", "tolerance", ""});
  const OutputDifference* broken = nullptr;
  double broken_allowed = 0;
  for (const OutputDifference& d : differences) {
    const double allowed = arguments.has("tolerance") ? arguments.number("tolerance") : tolerance(d.type);
    const bool equal = d.comparable && d.relative() <= allowed;
    if (!equal && !broken) broken = &d, broken_allowed = allowed;
    table.row({d.name, fmt::format("{:.3g}", d.max_abs), fmt::format("{:.3g}", d.relative()), fmt::format("{:.3g}", allowed),
               d.same_bits ? "same bits" : equal ? "equal" : "DIFFERENT"});
    json["outputs"].push_back({{"name", d.name}, {"max_abs", d.max_abs}, {"relative", d.relative()}, {"tolerance", allowed},
                               {"equal", equal}, {"same_bits", d.same_bits}});
  }
  json["equal"] = broken == nullptr;
  if (arguments.json() != "-") fmt::print("{}", table.text());
  if (arguments.has("json")) write_json(arguments.json(), json);
  if (broken) throw Error(ErrorKind::verification, describe(*broken, broken_allowed));
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = {
      {"data", "FILE", "compare on these inputs instead of generated ones", ""},
      {"samples", "N", "samples of the data that are used", "256"},
      {"tolerance", "X", "largest error, as a share of the output's scale (default 1e-4 for float, 1e-9 for double)", ""},
  };
  for (OptionSpec& o : preprocessing_options()) result.push_back(std::move(o));
  return result;
}

}  // namespace

namespace commands {
extern const Command compare;
const Command compare = {
    .name = "compare",
    .summary = "do two models compute the same? (exit code 4 if not)",
    .examples = "espalier compare a.onnx b.onnx\n"
                "espalier compare a.onnx b.onnx --data test.npz --scale 1/255 --samples 1000",
    .positional = {"A", "B"},
    .options = options,
    .run = run,
};
}  // namespace commands
}  // namespace espalier
