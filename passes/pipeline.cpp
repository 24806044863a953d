#include "passes/pipeline.h"

#include <chrono>

#include "passes/verify.h"

namespace espalier {
namespace {

void check_contract(const Pipeline::Step& step, const Graph& before, const Graph& after, const Resources& resources,
                    PassReport& report) {
  const Contract contract = step.pass->contract;
  if (contract == Contract::masked || contract == Contract::trained) {
    check(!report.changed || report.verification.state != Verification::State::off,
          "pass " + report.text + " hands over how it was checked");
    return;
  }
  if (!report.changed) {
    report.verification = {Verification::State::unchanged, 0, "nothing changed"};
  } else if (resources.verify) {
    try {
      report.verification = verify_outputs(before, after, contract, resources);
    } catch (Error& error) {
      throw Error(error.kind(), "pass " + report.text + ": " + error.what()).hint(error.hint());
    }
  }
}

// A broken graph after a pass is our fault, whatever the input was.
void check_structure(const Graph& graph, const PassReport& report) {
  try {
    verify(graph);
  } catch (const Error& error) {
    throw Error(ErrorKind::internal, "pass " + report.text + " left a broken graph: " + error.what());
  }
}

// Before IR 4 every initialiser must be listed as a graph input, too.
void list_initializers(Model& model) {
  if (model.ir_version >= 4) return;
  Graph& graph = model.graph;
  std::vector<bool> listed(graph.value_count(), false);
  for (const ValueId v : graph.inputs) listed[v] = true;
  for (const auto& [v, initializer] : graph.initializers()) {
    if (listed[v]) continue;
    graph.value(v).type = Type::tensor(initializer.tensor.type(), initializer.tensor.dims());
    graph.inputs.push_back(v);
  }
}

PassReport run_step(const Pipeline::Step& step, Model& model, const Resources& resources) {
  PassReport report;
  report.text = step.str();
  report.nodes_before = model.graph.nodes().size();
  for (const PassCounter& counter : step.pass->counters) report.counters[std::string(counter.name)] = 0;
  const Graph before = model.graph;

  const auto start = std::chrono::steady_clock::now();
  PassContext context(*step.pass, step.options, resources, model, report);
  step.pass->run(context);
  list_initializers(model);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  report.nodes_after = model.graph.nodes().size();
  report.changed = !same_graph(before, model.graph);
  check_structure(model.graph, report);
  check_contract(step, before, model.graph, resources, report);
  return report;
}

void store_text(Model& model, const std::string& text) {
  for (auto& [key, value] : model.metadata) {
    if (key == kPipelineKey) {
      value += (value.empty() ? "" : ", ") + text;
      return;
    }
  }
  model.metadata.emplace_back(kPipelineKey, text);
}

}  // namespace

std::vector<PassReport> Pipeline::run(Model& model, const Resources& resources) const {
  Resources here = resources;
  const Model original = model;
  if (!here.original) here.original = &original;
  std::vector<PassReport> reports;
  for (const Step& step : steps_) {
    stop_if_asked(here);
    if (here.log) here.log(step.str());
    reports.push_back(run_step(step, model, here));
    if (here.dump) here.dump(static_cast<int>(reports.size()), reports.back().text, model.graph);
  }
  if (!steps_.empty()) store_text(model, str());
  return reports;
}

}  // namespace espalier
