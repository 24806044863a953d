#include <fmt/format.h>

#include "lib/base/parallel.h"
#include "lib/base/waiting.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tools/exit.h"
#include "tools/model_figures.h"
#include "tools/output.h"
#include "tools/pass_report.h"
#include "tools/usage.h"

namespace espalier {
namespace {

/// The way of a model: load -> validate -> Graph -> [ pass, pass, pass ... ] -> validate -> verify -> save.
void transform(const Command& command, const Arguments& arguments) {
  const std::string input = arguments.positional(0), output = arguments.text("output");
  check_output("-o", output, {&input, 1});

  Model model = load_any(input);  // validates before anything else sees the file
  const Model original = model;
  Job job = command.plan(arguments, model);
  job.resources.original = &original;
  job.resources.seed = arguments.seed();
  job.resources.stop = interrupted;
  if (arguments.verbose() && !job.resources.log) job.resources.log = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };

  const auto reports = job.pipeline.run(model, job.resources);  // verifies the graph and the contract after each pass
  const std::string bytes = serialize_model(model);
  parse_model(std::as_bytes(std::span(bytes)), ".");  // what is written can be read
  stop_if_asked(job.resources);

  Json json = {{"input", input}, {"output", output}, {"pipeline", job.pipeline.str()}};
  json["original"] = to_json(figures_of(original));
  json["result"] = to_json(figures_of(model));
  json["passes"] = to_json(reports);
  if (arguments.json() != "-" && !arguments.quiet()) fmt::print("{}", pass_table(reports));
  try {
    if (command.judge) command.judge(arguments, {original, model, reports}, json);
    throw_if_missed(reports);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::target) throw;
    const std::string best = best_name(output, input);
    save_model(model, best);
    if (arguments.has("json")) write_json(arguments.json(), json);
    throw Error(error.kind(), fmt::format("{}; the best result is '{}'", error.what(), best)).hint(error.hint());
  }
  save_model(model, output);
  if (arguments.has("json")) write_json(arguments.json(), json);
}

void run(std::span<const std::string> words) {
  if (words.empty()) throw Error(ErrorKind::usage, "no command").hint("see espalier -h");
  if (words[0] == "-h" || words[0] == "--help") return fmt::print("{}", usage());
  if (words[0] == "--version") return fmt::print("{}", versions());
  const Command& command = find_command(words[0]);
  const auto arguments = Arguments::parse(words.subspan(1), options_of(command), command.positional);
  if (arguments.help()) return fmt::print("{}", usage(command));
  arguments.seed();  // is a number, whether the command uses it or not
  if (arguments.has("threads")) set_thread_count(static_cast<int>(arguments.integer("threads", 1)));
  if (arguments.has("json") && arguments.json() != "-") {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < command.positional.size(); ++i) inputs.push_back(arguments.positional(i));
    check_output("--json", arguments.json(), inputs);
  }
  if (command.plan) transform(command, arguments);
  else command.run(arguments);
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::wait_as_the_machine_allows(argv);
  espalier::catch_interrupts();
  const std::vector<std::string> words(argv + 1, argv + argc);
  return espalier::exit_code_of([&] { espalier::run(words); });
}
