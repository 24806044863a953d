#include "passes/finetune/finetune.h"

#include "lib/onnx_io/load.h"
#include "tools/training_options.h"

namespace espalier {
namespace {

/// Options of the pass that the command says in its own way: --val, and --teacher with a file.
bool own(const std::string& name) { return name == "validation" || name == "teacher"; }

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = training_data_options();
  result.push_back({"teacher", "FILE", "a model with the same inputs and outputs that is imitated", ""});
  for (OptionSpec& o : options_of(passes::finetune.options)) {
    if (!own(o.name)) result.push_back(std::move(o));
  }
  return result;
}

Job plan(const Arguments& arguments, const Model& model) {
  if (!arguments.has("train")) throw Error(ErrorKind::usage, "--train is missing").hint("--train train.npz names the samples");
  Job job;
  const auto owned = open_training_data(arguments, "train", model.graph, job.resources);
  PassOptions pass(passes::finetune.options);
  for (const PassOption& o : passes::finetune.options) {
    const std::string name(o.name);
    if (!own(name) && arguments.given(name)) pass.set(name, arguments.text(name));
  }
  if (arguments.has("teacher")) {
    owned->teacher = load_any(arguments.text("teacher"));
    job.resources.teacher = &owned->teacher;
  } else if (!owned->train.labelled()) {
    throw Error(ErrorKind::usage, "the training data have no labels and there is no teacher").hint("--teacher FILE names a model to imitate");
  } else {
    pass.set("teacher", "none");
  }
  job.pipeline.add(passes::finetune, std::move(pass));
  job.owned = owned;
  return job;
}

}  // namespace

namespace commands {
extern const Command finetune;
const Command finetune = {
    .name = "finetune",
    .summary = "train a model on data; the best weights on the validation data stay",
    .examples = "espalier finetune net.onnx -o out.onnx --train train.npz --scale 1/255 --epochs 5\n"
                "espalier finetune net.onnx -o out.onnx --train train.npz --val val.npz --optimizer 'momentum{mu=0.9}' --lr 0.01\n"
                "espalier finetune small.onnx -o out.onnx --train unlabelled.npz --teacher large.onnx",
    .positional = {"MODEL"},
    .options = options,
    .plan = plan,
};
}  // namespace commands
}  // namespace espalier
