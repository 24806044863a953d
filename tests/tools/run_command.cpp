#include "tests/tools/run_command.h"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace espalier::testing {
namespace {

std::string quoted(const std::string& word) {
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

}  // namespace

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file) throw std::runtime_error("cannot write " + path);
}

Json read_json(const std::string& path) { return Json::parse(read_text(path)); }

CommandResult run_command(const std::vector<std::string>& words, const std::string& folder, const std::string& before) {
  const std::string out = folder + "/.stdout", err = folder + "/.stderr";
  std::string line = "cd " + quoted(folder) + " && " + before + " " + quoted(ESPALIER_BINARY);
  for (const std::string& word : words) line += " " + quoted(word);
  line += " >" + quoted(out) + " 2>" + quoted(err) + " </dev/null";
  const int status = std::system(line.c_str());
  CommandResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_text(out);
  result.err = read_text(err);
  return result;
}

}  // namespace espalier::testing
