#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <set>

#include "lib/report/table.h"
#include "lib/report/units.h"
#include "lib/train/evaluator.h"
#include "passes/finetune/finetune.h"
#include "passes/prune/prune.h"
#include "tools/exit.h"
#include "tools/model_figures.h"
#include "tools/timing.h"
#include "tools/training_options.h"

namespace espalier {
namespace {

constexpr int64_t kBatches[] = {1, 64};

/// Options of the passes that the command says in its own way, or that two passes have.
bool own(const std::string& name) {
  static const std::set<std::string> names = {"validation", "teacher", "floor"};
  return names.contains(name);
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = training_data_options();
  result.push_back({"test", "FILE", "samples for the table; never used to choose anything", ""});
  result.push_back({"min-accuracy", "X", "least top1 of the result, a fraction; if missed, exit code 5 and OUT.best.onnx", ""});
  std::set<std::string> known;
  for (const OptionSpec& o : result) known.insert(o.long_name());
  for (const Pass* pass : {&passes::prune, &passes::finetune}) {
    for (OptionSpec& o : options_of(pass->options)) {
      if (!own(o.name) && known.insert(o.name).second) result.push_back(std::move(o));
    }
  }
  return result;
}

PassOptions typed_options(const Arguments& arguments, const Pass& pass) {
  PassOptions result(pass.options);
  for (const PassOption& o : pass.options) {
    const std::string name(o.name);
    if (!own(name) && arguments.given(name)) result.set(name, arguments.text(name));
  }
  return result;
}

Job plan(const Arguments& arguments, const Model& model) {
  if (!arguments.has("train")) throw Error(ErrorKind::usage, "--train is missing").hint("--train train.npz names the samples");
  if (arguments.has("min-accuracy")) {
    const double least = arguments.number("min-accuracy");
    if (!(least > 0 && least <= 1)) throw Error(ErrorKind::usage, "--min-accuracy is " + arguments.text("min-accuracy") + ", expected a fraction such as 0.985");
  }
  if (arguments.has("test")) dataset_of(arguments, "test", model.graph);  // a wrong name must not show after the training
  Job job;
  const auto owned = open_training_data(arguments, "train", model.graph, job.resources);
  if (arguments.has("min-accuracy") && !owned->train.labelled()) {
    throw Error(ErrorKind::usage, "--min-accuracy needs labels, and the training data have none");
  }
  job.pipeline.add(*find_pass("simplify"), PassOptions(find_pass("simplify")->options));
  job.pipeline.add(passes::prune, typed_options(arguments, passes::prune));
  PassOptions recover = typed_options(arguments, passes::finetune);
  job.pipeline.add(passes::finetune, std::move(recover));
  job.pipeline.add(*find_pass("fuse"), PassOptions(find_pass("fuse")->options));
  job.owned = owned;
  return job;
}

struct Side {
  ModelFigures figures;
  Metrics metrics;
  std::vector<Timing> timings;  ///< one a batch size; empty where the model cannot be timed
};

Json to_json(const Side& side) {
  Json json = to_json(side.figures);
  const auto set = [&](const char* what, double value) {
    if (!std::isnan(value)) json[what] = value;
  };
  set("top1", side.metrics.top1);
  set("loss", side.metrics.loss);
  set("mse", side.metrics.mse);
  json["ms"] = Json::object();
  for (size_t i = 0; i < side.timings.size(); ++i) json["ms"][std::to_string(kBatches[i])] = side.timings[i].median;
  return json;
}

/// What the two models are judged on: the test data, else those that chose the weights, in the views that chose.
struct Judged {
  Dataset data;
  Augmentation augmentation;
  std::string name;
};

Judged judged_on(const Arguments& arguments, const Graph& graph) {
  if (arguments.has("test")) return {dataset_of(arguments, "test", graph), {}, arguments.text("test")};
  Resources resources;
  const auto owned = open_training_data(arguments, "train", graph, resources);
  std::string name = "the validation data";
  if (resources.validation_augmentation.any()) name += ", " + arguments.text("val-augment");
  return {owned->validation, resources.validation_augmentation, std::move(name)};
}

void measure(const Arguments& arguments, const Outcome& outcome, const Judged& judged, Side& original, Side& slimmed) {
  original.figures = figures_of(outcome.original);
  slimmed.figures = figures_of(outcome.result);
  if (judged.data.labelled()) {
    EvaluateOptions options;
    options.output = arguments.text("output-name");
    options.augmentation = judged.augmentation;
    options.seed = arguments.seed();
    options.stop = interrupted;
    const Preprocessing preprocessing = preprocessing_of(arguments);
    original.metrics = evaluate(outcome.original.graph, judged.data, preprocessing, options);
    slimmed.metrics = evaluate(outcome.result.graph, judged.data, preprocessing, options);
  }
  for (const int64_t batch : kBatches) {
    TimedModel a(outcome.original.graph, batch, arguments.seed()), b(outcome.result.graph, batch, arguments.seed());
    const auto timings = time_in_turns({&a, &b}, 1.0);
    original.timings.push_back(timings[0]);
    slimmed.timings.push_back(timings[1]);
  }
}

std::string table_of(const Side& a, const Side& b) {
  Table table({"", "original", "slimmed", ""});
  const auto less = [](double from, double to) { return from > 0 ? fmt::format("{:+.1f} %", 100 * (to / from - 1)) : std::string(); };
  const auto row = [&](const char* what, int64_t x, int64_t y, std::string (*text)(double)) {
    const auto from = static_cast<double>(x), to = static_cast<double>(y);
    table.row({what, text(from), text(to), less(from, to)});
  };
  row("parameters", a.figures.params, b.figures.params, count_text);
  row("MACs", a.figures.macs, b.figures.macs, count_text);
  row("file size", a.figures.bytes, b.figures.bytes, bytes_text);
  if (!std::isnan(a.metrics.top1)) {
    table.row({"accuracy", percent_text(a.metrics.top1), percent_text(b.metrics.top1),
               fmt::format("{:+.2f} points", 100 * (b.metrics.top1 - a.metrics.top1))});
  }
  if (!std::isnan(a.metrics.loss)) table.row({"loss", fixed_text(a.metrics.loss, 4), fixed_text(b.metrics.loss, 4), ""});
  for (size_t i = 0; i < a.timings.size(); ++i) {
    table.row({fmt::format("time at batch {}", kBatches[i]), seconds_text(1e-3 * a.timings[i].median), seconds_text(1e-3 * b.timings[i].median),
               ratio_text(a.timings[i].median, b.timings[i].median) + " as fast"});
  }
  return table.text();
}

void judge(const Arguments& arguments, const Outcome& outcome, Json& json) {
  const Judged judged = judged_on(arguments, outcome.original.graph);
  Side original, slimmed;
  measure(arguments, outcome, judged, original, slimmed);
  json["original"] = to_json(original);
  json["result"] = to_json(slimmed);
  json["judged_on"] = judged.name;
  if (arguments.json() != "-") fmt::print("\n{}", table_of(original, slimmed));
  if (!arguments.has("min-accuracy")) return;
  const double least = arguments.number("min-accuracy");
  if (slimmed.metrics.top1 >= least) return;
  throw Error(ErrorKind::target, fmt::format("accuracy is {:.4f}, below --min-accuracy {}", slimmed.metrics.top1, arguments.text("min-accuracy")))
      .hint("a larger --flops, or more --epochs, loses less");
}

}  // namespace

namespace commands {
extern const Command slim;
const Command slim = {
    .name = "slim",
    .summary = "the main job: simplify, prune, recover, fuse, verify, report",
    .examples = "espalier slim net.onnx -o slim.onnx --train train.npz --test test.npz --scale 1/255 --flops 0.5\n"
                "espalier slim net.onnx -o slim.onnx --train train.npz --flops 0.4 --epochs 10 --min-accuracy 0.985\n"
                "espalier slim net.onnx -o slim.onnx --train unlabelled.npz --params 0.5     # the original teaches",
    .positional = {"MODEL"},
    .options = options,
    .plan = plan,
    .judge = judge,
};
}  // namespace commands
}  // namespace espalier
