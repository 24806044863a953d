#pragma once

#include <functional>

namespace espalier {

/// Calls `body` and turns what it throws into an exit code and two lines on stderr: `espalier: error: ...` and, where there
/// is one, `hint: ...`. Foreign exceptions are mapped: no memory and unknown ones to 1, files to 6.
int exit_code_of(const std::function<void()>& body);

/// Lets SIGINT and SIGTERM ask for an orderly end; a second one ends the program at once (75).
void catch_interrupts();
/// Whether one of them came.
bool interrupted();

}  // namespace espalier
