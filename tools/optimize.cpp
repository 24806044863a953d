#include <fmt/format.h>

#include <filesystem>

#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "tools/command.h"
#include "tools/data_options.h"

namespace espalier {
namespace {

constexpr int64_t kCheckSamples = 8;

std::vector<OptionSpec> check_options() {
  std::vector<OptionSpec> result = {{"data", "FILE", "check the outputs on these inputs instead of generated ones", ""},
                                    {"dump", "FOLDER", "write the graph after each pass, in the text form", ""}};
  for (OptionSpec& o : preprocessing_options()) result.push_back(std::move(o));
  return result;
}

Resources resources_of(const Arguments& arguments, const Model& model) {
  Resources resources;
  if (arguments.has("data")) {
    resources.check_inputs = feeds_of(dataset_of(arguments, "data", model.graph), preprocessing_of(arguments), model.graph, kCheckSamples);
  }
  if (arguments.has("dump")) {
    const std::filesystem::path folder = arguments.text("dump");
    if (!std::filesystem::is_directory(folder)) throw Error(ErrorKind::io, "folder '" + folder.string() + "' does not exist");
    resources.dump = [folder](int number, const std::string& pass, const Graph& graph) {
      const std::string file = fmt::format("{:02}-{}.txt", number, pass.substr(0, pass.find('{')));
      write_file(folder / file, print_graph(graph));
    };
  }
  return resources;
}

std::vector<OptionSpec> optimize_options() {
  std::vector<OptionSpec> result = {{"passes", "TEXT", "the pipeline: passes with their options, see 'espalier passes'", ""}};
  for (OptionSpec& o : check_options()) result.push_back(std::move(o));
  return result;
}

Job plan_optimize(const Arguments& arguments, const Model& model) {
  if (!arguments.has("passes")) throw Error(ErrorKind::usage, "--passes is missing").hint("for example --passes 'simplify, fuse'");
  return {Pipeline::parse(arguments.text("passes")), resources_of(arguments, model), nullptr};
}

Job plan_simplify(const Arguments& arguments, const Model& model) {
  return {Pipeline::parse("simplify, fuse"), resources_of(arguments, model), nullptr};
}

}  // namespace

namespace commands {
extern const Command optimize, simplify;
const Command optimize = {
    .name = "optimize",
    .summary = "run any pipeline of passes",
    .examples = "espalier optimize in.onnx -o out.onnx --passes 'simplify, fuse'\n"
                "espalier optimize in.onnx -o out.onnx --passes 'rebatch{n=32}'\n"
                "espalier optimize in.onnx -o out.onnx --passes simplify --dump steps/",
    .positional = {"MODEL"},
    .options = optimize_options,
    .plan = plan_optimize,
};
const Command simplify = {
    .name = "simplify",
    .summary = "fold, clean and fuse to a fixed point; the outputs stay equal",
    .examples = "espalier simplify in.onnx -o out.onnx\n"
                "espalier simplify in.onnx -o out.onnx --data test.npz --scale 1/255",
    .positional = {"MODEL"},
    .options = check_options,
    .plan = plan_simplify,
};
}  // namespace commands
}  // namespace espalier
