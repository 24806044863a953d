#pragma once

#include <string>

#include "tools/command.h"

namespace espalier {

/// All options of a command, the common ones last; `-o` first where it writes a model.
std::vector<OptionSpec> options_of(const Command& command);
/// Help of one command: examples first.
std::string usage(const Command& command);
/// Help of the program: examples, commands, exit codes.
std::string usage();
/// The program's version and those of its libraries.
std::string versions();
/// Throws Error(usage) with the nearest name as hint.
const Command& find_command(const std::string& word);

}  // namespace espalier
