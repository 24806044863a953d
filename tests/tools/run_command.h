#pragma once

#include <string>
#include <vector>

#include "lib/report/json.h"

namespace espalier::testing {

struct CommandResult {
  int exit_code = -1;
  std::string out, err;
};

/// Runs the built `espalier` with these words, in `folder`; `before` is shell text that stands before the program ("ulimit -v 1;").
CommandResult run_command(const std::vector<std::string>& words, const std::string& folder, const std::string& before = "");

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
Json read_json(const std::string& path);

}  // namespace espalier::testing
