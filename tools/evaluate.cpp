#include "lib/train/evaluator.h"

#include <fmt/format.h>

#include <cmath>

#include "lib/analysis/run_seed.h"
#include "lib/onnx_io/load.h"
#include "lib/report/progress.h"
#include "lib/report/table.h"
#include "lib/report/units.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/exit.h"

namespace espalier {
namespace {

void run(const Arguments& arguments) {
  Model model = load_any(arguments.positional(0));
  set_run_seed(model.graph, arguments.seed());
  if (!arguments.has("data")) throw Error(ErrorKind::usage, "--data is missing: evaluate needs a data set");
  const Dataset data = dataset_of(arguments, "data", model.graph);
  EvaluateOptions options;
  options.batch_size = arguments.integer("batch-size", 1);
  options.output = arguments.text("output-name");
  options.stop = interrupted;
  Progress progress;
  if (!arguments.quiet()) {
    progress.start("evaluate", data.size());
    options.progress = [&](int64_t done, int64_t) { progress.update(done); };
  }
  const Metrics metrics = evaluate(model.graph, data, preprocessing_of(arguments), options);
  progress.clear();

  Json json = {{"model", arguments.positional(0)}, {"data", data.name}, {"samples", metrics.samples}};
  Table table({"metric", "value"});
  table.row({"samples", std::to_string(metrics.samples)});
  const auto add = [&](const char* name, double value, const std::string& text) {
    if (std::isnan(value)) return;
    json[name] = value;
    table.row({name, text});
  };
  add("top1", metrics.top1, percent_text(metrics.top1));
  add("loss", metrics.loss, fixed_text(metrics.loss, 4));
  add("mse", metrics.mse, fmt::format("{:.6g}", metrics.mse));
  if (arguments.json() != "-") fmt::print("{}", table.text());
  if (arguments.has("json")) write_json(arguments.json(), json);
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = {
      {"data", "FILE", "npz, npy or IDX with labels: file.npz:x=images,y=labels names the arrays", ""},
      {"batch-size", "N", "samples at a time, whatever batch the file has", "64"},
      {"output-name", "NAME", "the output that is judged (default: the first)", ""},
  };
  for (OptionSpec& o : preprocessing_options()) result.push_back(std::move(o));
  return result;
}

}  // namespace

namespace commands {
extern const Command evaluate;
const Command evaluate = {
    .name = "evaluate",
    .summary = "loss and metrics on a data set",
    .examples = "espalier evaluate net.onnx --data test.npz --scale 1/255\n"
                "espalier evaluate net.onnx --data test.npz --scale 1/255 --mean 0.49,0.48,0.45 --std 0.25 --layout nhwc",
    .positional = {"MODEL"},
    .options = options,
    .run = run,
};
}  // namespace commands
}  // namespace espalier
