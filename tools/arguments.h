#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "passes/options.h"

namespace espalier {

/// An option of a subcommand, as its help shows it.
struct OptionSpec {
  std::string name;      ///< without dashes; "output,o" has a short form
  std::string value;     ///< placeholder of its value ("FILE"); empty: a flag
  std::string help;
  std::string fallback;  ///< default, as it is typed; empty: none

  std::string long_name() const { return name.substr(0, name.find(',')); }
};

/// Options that every subcommand takes: --config, --json, --seed, --threads, -q, -v, -h.
std::vector<OptionSpec> common_options();
/// The options of a pass, as options of the command.
std::vector<OptionSpec> options_of(std::span<const PassOption> options);

/// What was typed after a subcommand, checked for form. A value type.
class Arguments {
 public:
  /// Reads the command line, then what `--config` names (NAME=VALUE, one a line, # begins a comment), which the command line
  /// overrides. Throws Error(usage) for an unknown option (with the nearest as hint), a missing value, and unless there are
  /// exactly as many bare words as `positional` names; Error(io) for a configuration that cannot be read.
  static Arguments parse(std::span<const std::string> words, std::span<const OptionSpec> options,
                         std::span<const std::string> positional);

  bool help() const { return help_; }
  const std::string& positional(size_t i) const { return positional_.at(i); }
  bool given(std::string_view name) const { return values_.contains(name); }
  bool has(std::string_view name) const { return !text(name).empty(); }
  /// The value, or the default; empty where there is neither.
  std::string text(std::string_view name) const;
  bool flag(std::string_view name) const { return given(name) && text(name) != "false"; }
  /// Throw Error(usage) naming the option.
  double number(std::string_view name) const;
  int64_t integer(std::string_view name, int64_t least) const;

  std::string json() const { return text("json"); }
  uint64_t seed() const { return static_cast<uint64_t>(integer("seed", 0)); }
  bool quiet() const { return flag("quiet"); }
  bool verbose() const { return flag("verbose"); }

 private:
  std::map<std::string, std::string, std::less<>> values_, fallbacks_;
  std::vector<std::string> positional_;
  bool help_ = false;
};

/// The options as the lower part of a help text.
std::string help_text(std::span<const OptionSpec> options);

}  // namespace espalier
