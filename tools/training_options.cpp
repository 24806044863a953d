#include "tools/training_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/onnx_io/load.h"
#include "lib/report/units.h"

namespace espalier {
namespace {

/// --val is a file, or a share of the training data.
bool is_fraction(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

void listen(TrainingOwned& owned, Resources& resources) {
  resources.events.step = [&owned](const StepEvent& e) {
    if (e.samples <= 0) return;
    owned.progress.update(e.samples, fmt::format("loss {:.4f}", e.loss));
  };
  resources.events.epoch = [&owned](const EpochEvent& e) {
    owned.progress.clear();
    if (e.epoch < e.epochs) owned.progress.start(fmt::format("epoch {}/{}", e.epoch + 1, e.epochs), owned.train.size());
  };
}

}  // namespace

std::vector<OptionSpec> training_data_options() {
  std::vector<OptionSpec> result = {
      {"train", "FILE", "training samples: .npz, .npy or IDX; FILE:x=ARRAY,y=ARRAY names the arrays", ""},
      {"val", "FILE|SHARE", "samples that choose the best weights, or a share of the training samples", "0.1"},
      {"val-augment", "TEXT", "changes of images that judge and refit, as for --augment; for a model that knows the samples by heart", ""},
  };
  for (OptionSpec& o : preprocessing_options()) result.push_back(std::move(o));
  return result;
}

std::shared_ptr<TrainingOwned> open_training_data(const Arguments& arguments, const std::string& option, const Graph& graph,
                                                  Resources& resources) {
  auto owned = std::make_shared<TrainingOwned>();
  owned->train = dataset_of(arguments, option, graph);
  const std::string validation = arguments.text("val");
  if (is_fraction(validation)) {
    const double share = option_number(validation, "--val");
    std::tie(owned->train, owned->validation) = split(owned->train, share, arguments.seed());
  } else {
    owned->validation = dataset_of(arguments, "val", graph);
  }
  resources.train = &owned->train;
  resources.validation = &owned->validation;
  if (arguments.has("val-augment")) resources.validation_augmentation = parse_augmentation(arguments.text("val-augment"));
  resources.preprocessing = preprocessing_of(arguments);
  if (!arguments.quiet()) {
    resources.log = [&progress = owned->progress](const std::string& line) {
      progress.clear();
      fmt::print(stderr, "{}\n", line);
    };
    listen(*owned, resources);
  }
  return owned;
}

PassOptions pass_options(const Arguments& arguments, const Pass& pass) {
  PassOptions options(pass.options);
  for (const PassOption& o : pass.options) {
    const std::string name(o.name);
    if (!arguments.given(name)) continue;
    try {
      options.set(name, arguments.text(name));
    } catch (const Error& error) {
      throw Error(error.kind(), "--" + std::string(error.what())).hint(error.hint());
    }
  }
  return options;
}

}  // namespace espalier
