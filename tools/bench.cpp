#include <fmt/format.h>

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/onnx_io/load.h"
#include "lib/report/table.h"
#include "lib/report/units.h"
#include "tools/command.h"
#include "tools/timing.h"

namespace espalier {
namespace {

std::vector<int64_t> batches_of(const Arguments& arguments) {
  std::vector<int64_t> result;
  std::string rest = arguments.text("batch");
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string word = rest.substr(0, comma);
    size_t used = 0;
    int64_t value = 0;
    try {
      value = std::stoll(word, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != word.size() || value < 1) {
      throw Error(ErrorKind::usage, "--batch has '" + word + "', expected numbers of samples such as 1,64");
    }
    result.push_back(value);
    rest.erase(0, comma + 1);
  }
  if (result.empty()) throw Error(ErrorKind::usage, "--batch is empty, expected numbers of samples such as 1,64");
  return result;
}

Json add_profile(TimedModel& model, double total_ms) {
  model.plan().set_profiling(true);
  for (int i = 0; i < 20; ++i) model.plan().run();
  auto steps = model.plan().profile();
  model.plan().set_profiling(false);
  std::stable_sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.milliseconds > b.milliseconds; });
  Table table({"node", "op", "time", "share", "GFLOP/s", "implementation"});
  table.left(1).left(5);
  Json json = Json::array();
  for (const StepProfile& step : steps) {
    const double gflops = 2e-6 * static_cast<double>(step.macs) / step.milliseconds;
    table.row({step.node, step.op, seconds_text(1e-3 * step.milliseconds), percent_text(step.milliseconds / total_ms),
               step.macs > 0 ? fixed_text(gflops, 1) : "", step.implementation});
    json.push_back({{"node", step.node}, {"op", step.op}, {"ms", step.milliseconds}, {"macs", step.macs},
                    {"implementation", step.implementation}});
  }
  fmt::print("\n{}", table.text());
  return json;
}

void run(const Arguments& arguments) {
  const Model model = load_any(arguments.positional(0));
  const bool print = arguments.json() != "-";
  Json json = {{"model", arguments.positional(0)}, {"threads", thread_count()}, {"batches", Json::array()}};
  Table table({"batch", "median", "fastest", "slowest", "samples/s", "runs", "steps", "reorders", "by reference", "memory"});
  std::vector<std::unique_ptr<TimedModel>> timed;
  double last = 0;
  for (const int64_t batch : batches_of(arguments)) {
    try {
      timed.push_back(std::make_unique<TimedModel>(model.graph, batch, arguments.seed()));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::bad_data || timed.empty() || arguments.given("batch")) throw;
      fmt::print(stderr, "espalier: batch {} is left out: {}\n", batch, e.what());
      continue;
    }
    const Timing t = time_in_turns({timed.back().get()}, arguments.number("seconds")).front();
    const PlanCounters& c = timed.back()->plan().counters();
    const double rate = 1e3 * static_cast<double>(batch) / t.median;
    last = t.median;
    table.row({std::to_string(batch), seconds_text(1e-3 * t.median), seconds_text(1e-3 * t.fastest), seconds_text(1e-3 * t.slowest),
               count_text(rate), std::to_string(t.runs), std::to_string(c.steps), std::to_string(c.activation_reorders),
               std::to_string(c.fallback_steps), bytes_text(static_cast<double>(c.arena_bytes))});
    json["batches"].push_back({{"batch", batch}, {"ms", t.median}, {"fastest_ms", t.fastest}, {"slowest_ms", t.slowest},
                               {"runs", t.runs}, {"samples_per_second", rate}, {"steps", c.steps},
                               {"reorders", c.activation_reorders}, {"by_reference", c.fallback_steps},
                               {"arena_bytes", c.arena_bytes}});
  }
  if (print) fmt::print("{}", table.text());
  if (arguments.flag("profile")) {
    if (!print) throw Error(ErrorKind::usage, "--profile prints a table: give --json a file");
    json["profile"] = add_profile(*timed.back(), last);
  }
  if (arguments.has("json")) write_json(arguments.json(), json);
}

std::vector<OptionSpec> options() {
  return {
      {"batch", "N,...", "numbers of samples, whatever batch the file has", "1,64"},
      {"seconds", "S", "how long each is measured at least", "1"},
      {"profile", "", "time of every step at the last batch: GFLOP/s, implementation", ""},
  };
}

}  // namespace

namespace commands {
extern const Command bench;
const Command bench = {
    .name = "bench",
    .summary = "latency and throughput with our kernels on this machine",
    .examples = "espalier bench net.onnx\n"
                "espalier bench net.onnx --batch 1,32,128 --profile --threads 1",
    .positional = {"MODEL"},
    .options = options,
    .run = run,
};
}  // namespace commands
}  // namespace espalier
