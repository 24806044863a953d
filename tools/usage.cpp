#include "tools/usage.h"

#include <fmt/format.h>

#include <sstream>

#include "lib/base/suggest.h"


namespace espalier {
namespace {

std::string indented(std::string_view lines) {
  std::istringstream in{std::string(lines)};
  std::string text, line;
  while (std::getline(in, line)) text += "  " + line + "\n";
  return text;
}

}  // namespace

std::vector<OptionSpec> options_of(const Command& command) {
  std::vector<OptionSpec> result;
  if (command.plan) result.push_back({"output,o", "OUT", "the file to write; whole or not at all", ""});
  if (command.options) {
    for (OptionSpec& o : command.options()) result.push_back(std::move(o));
  }
  for (OptionSpec& o : common_options()) result.push_back(std::move(o));
  return result;
}

std::string usage(const Command& command) {
  std::string words;
  for (const std::string& p : command.positional) words += " " + p;
  return fmt::format("{}\nusage: espalier {}{}{} [options]\n{}\n\n{}", indented(command.examples), command.name, words,
                     command.plan ? " -o OUT" : "", command.summary, help_text(options_of(command)));
}

std::string usage() {
  std::string text =
      "  espalier info net.onnx\n"
      "  espalier simplify net.onnx -o net-simple.onnx\n"
      "  espalier slim net.onnx -o net-slim.onnx --train train.npz --test test.npz --scale 1/255 --flops 0.5\n"
      "  espalier compare net.onnx net-simple.onnx\n"
      "\nespalier prunes and trains ONNX models: a smaller, faster, still accurate .onnx comes out\n\ncommands:\n";
  for (const Command* c : all_commands()) text += fmt::format("  {:<10} {}\n", c->name, c->summary);
  text +=
      "\n'espalier COMMAND -h' shows the options of one; 'espalier --version' the versions of the libraries\n"
      "\nexit codes: 0 done, 1 a bug of ours, 2 wrong usage, 3 bad model or data, 4 verification failed, 5 target not\n"
      "reached, 6 cannot read or write, 7 numbers became non-finite, 75 interrupted. On any but 0 the output file is as it\n"
      "was before.\n";
  return text;
}

std::string versions() {
  return fmt::format("espalier {}\n{}\n", ESPALIER_VERSION, ESPALIER_VERSIONS);
}

const Command& find_command(const std::string& word) {
  std::vector<std::string> names;
  for (const Command* c : all_commands()) {
    if (c->name == word) return *c;
    names.emplace_back(c->name);
  }
  throw Error(ErrorKind::usage, "unknown command '" + word + "'").hint(did_you_mean(word, names, "see espalier -h"));
}

}  // namespace espalier
