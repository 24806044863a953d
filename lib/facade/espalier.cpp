#include "lib/facade/espalier.h"

#include <map>
#include <optional>

#include "lib/analysis/cost.h"
#include "lib/analysis/infer.h"
#include "lib/base/parallel.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "passes/pipeline.h"

namespace espalier {

namespace {

std::string describe(const Verification& verification) {
  switch (verification.state) {
    case Verification::State::passed: return "passed";
    case Verification::State::unchanged: return "unchanged";
    case Verification::State::unverified: return "unverified: " + verification.detail;
    case Verification::State::off: break;
  }
  return "off";
}

// Every size of an input that is one symbol, or that inference will name `input.axis`, is 1.
std::map<std::string, int64_t> unit_symbols(const Graph& graph) {
  std::map<std::string, int64_t> symbols;
  for (const ValueId id : graph.inputs) {
    const Value& input = graph.value(id);
    if (!input.type.dims) continue;
    for (size_t axis = 0; axis < input.type.dims->size(); ++axis) {
      const Dim& dim = (*input.type.dims)[axis];
      if (dim.unknown()) symbols[input.name + "." + std::to_string(axis)] = 1;
      if (const auto symbol = dim.symbol_name()) symbols[*symbol] = 1;
    }
  }
  return symbols;
}

std::optional<Dataset> samples(const std::string& spec, const Graph& graph) {
  if (spec.empty()) return std::nullopt;
  std::vector<std::string> inputs;
  for (const ValueId id : graph.inputs) {
    if (!graph.initializer(id)) inputs.push_back(graph.value(id).name);
  }
  return open_dataset(spec, inputs);
}

Preprocessing preprocessing_of(const ApplySettings& settings) {
  const auto numbers = [](const std::string& text, const char* what) {
    return text.empty() ? std::vector<double>() : parse_numbers(text, what);
  };
  return {.scale = numbers(settings.scale, "scale"),
          .mean = numbers(settings.mean, "mean"),
          .std = numbers(settings.std, "std")};
}

CostTotals totals(const Graph& graph) {
  InferOptions options;
  options.symbols = unit_symbols(graph);
  return graph_cost(graph, infer(graph, options));
}

}  // namespace

Network::Network(Model model) : model_(std::make_shared<const Model>(std::move(model))) {}

Network Network::load(const std::string& path) { return Network(load_any(path)); }

Network Network::parse(std::string_view text) { return Network(make_model(parse_graph(text))); }

void Network::save(const std::string& path) const { save_model(*model_, path); }

std::string Network::text() const { return print_graph(model_->graph); }

std::vector<Change> Network::apply(std::string_view pipeline, const ApplySettings& settings) {
  const Pipeline parsed = Pipeline::parse(pipeline);
  if (settings.threads != 0) set_thread_count(settings.threads);
  Resources resources;
  resources.seed = settings.seed;
  resources.verify = settings.verify;
  resources.log = settings.log;
  resources.stop = settings.stop;
  const std::optional<Dataset> train = samples(settings.train, model_->graph);
  const std::optional<Dataset> validation = samples(settings.validation, model_->graph);
  if (train) resources.train = &*train;
  if (validation) resources.validation = &*validation;
  resources.preprocessing = preprocessing_of(settings);

  Model model = *model_;
  std::vector<Change> changes;
  std::vector<PassReport> reports = parsed.run(model, resources);
  throw_if_missed(reports);
  for (PassReport& report : reports) {
    changes.push_back({std::move(report.text), report.changed, report.seconds, report.nodes_before, report.nodes_after,
                       describe(report.verification), std::move(report.notes)});
  }
  model_ = std::make_shared<const Model>(std::move(model));
  return changes;
}

int64_t Network::macs() const { return totals(model_->graph).macs; }

int64_t Network::parameters() const { return totals(model_->graph).params; }

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass* pass : all_passes()) names.emplace_back(pass->name);
  return names;
}

std::string_view version() { return ESPALIER_VERSION; }

}  // namespace espalier
