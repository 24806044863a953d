#include "passes/prune/prune.h"

#include "tools/output.h"
#include "tools/training_options.h"

namespace espalier {
namespace {

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> result = {{"data", "FILE", "samples to choose by (auto; taylor needs labels) and to refit weights with; .npz, .npy or IDX", ""}};
  for (OptionSpec& o : options_of(passes::prune.options)) result.push_back(std::move(o));
  for (OptionSpec& o : preprocessing_options()) result.push_back(std::move(o));
  return result;
}

Job plan(const Arguments& arguments, const Model& model) {
  Job job;
  if (arguments.has("plan-out")) {
    std::vector<std::string> inputs = {arguments.positional(0)};
    if (arguments.has("plan")) inputs.push_back(arguments.text("plan"));
    check_output("--plan-out", arguments.text("plan-out"), inputs);
  }
  if (arguments.has("data")) {
    auto owned = std::make_shared<TrainingOwned>();
    owned->train = dataset_of(arguments, "data", model.graph);
    job.resources.train = &owned->train;
    job.resources.preprocessing = preprocessing_of(arguments);
    job.owned = owned;
  }
  job.pipeline.add(passes::prune, pass_options(arguments, passes::prune));
  return job;
}

}  // namespace

namespace commands {
extern const Command prune;
const Command prune = {
    .name = "prune",
    .summary = "take out whole units (channels); the certificate is checked, nothing is trained",
    .examples = "espalier prune net.onnx -o out.onnx --flops 0.5\n"
                "espalier prune net.onnx -o out.onnx --ratio 0.3 --criterion l2 --plan-out plan.json\n"
                "espalier prune net.onnx -o out.onnx --plan plan.json\n"
                "espalier prune streaming.onnx -o out.onnx --ratio 0.5 --state h_in:h_out,c_in:c_out",
    .positional = {"MODEL"},
    .options = options,
    .plan = plan,
};
}  // namespace commands
}  // namespace espalier
