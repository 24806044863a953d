#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/report/json.h"
#include "passes/pipeline.h"
#include "tools/arguments.h"

namespace espalier {

/// What a command that changes a model is about to do: a pipeline, and what it is given.
struct Job {
  Pipeline pipeline;
  Resources resources;
  std::shared_ptr<void> owned;  ///< keeps what `resources` points to
};

/// What it did.
struct Outcome {
  const Model& original;
  const Model& result;
  const std::vector<PassReport>& reports;
};

/// A subcommand: one constant object a file. Either `run` (it only looks) or `plan` (it changes a model: main.cpp shows how).
struct Command {
  std::string_view name;
  std::string_view summary;   ///< one line
  std::string_view examples;  ///< command lines, one a line
  std::vector<std::string> positional = {};
  std::vector<OptionSpec> (*options)() = nullptr;  ///< beside common_options()

  void (*run)(const Arguments&) = nullptr;
  Job (*plan)(const Arguments&, const Model&) = nullptr;
  /// Looks at the result before it is written: adds to the JSON and prints. Throws Error(target) where the user's target was
  /// missed; the result then goes to OUT.best.onnx.
  void (*judge)(const Arguments&, const Outcome&, Json&) = nullptr;
};

/// All commands, in the order of the help.
std::span<const Command* const> all_commands();

}  // namespace espalier
