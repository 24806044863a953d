#pragma once

#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/error.h"

namespace espalier {

/// An option that a pass declares. Pipeline text, help and `espalier passes` are generated from these fields.
struct PassOption {
  enum class Kind { flag, integer, number, text };

  std::string_view name;      ///< kebab-case
  Kind kind = Kind::text;
  std::string_view fallback;  ///< the default as it is typed; empty: not set unless given
  std::string_view help;      ///< one line, with unit
  std::string_view choices = "";  ///< of a text: "l1|l2|taylor"; empty: any
  double least = -std::numeric_limits<double>::infinity();  ///< of numbers and integers, inclusive
  double most = std::numeric_limits<double>::infinity();
};

/// "flag", "integer", "number" or "text".
std::string_view name(PassOption::Kind kind);

/// A number as it is typed anywhere in Espalier: "0.5", "1e-3", or a fraction "1/255". Throws Error(usage) naming `what`.
double option_number(std::string_view text, std::string_view what);
/// An integer, "8" or "-1"; throws Error(usage) naming `what`.
int64_t option_integer(std::string_view text, std::string_view what);
/// "true", "false", "1", "0", "yes" or "no"; throws Error(usage) naming `what`.
bool option_flag(std::string_view text, std::string_view what);

/// The values of a pass's options. A value type: checked when set, read by name (an undeclared name is
/// Error(internal)), printed as it was typed and in the order of declaration.
class PassOptions {
 public:
  PassOptions() = default;
  /// `declared` must outlive the object (passes are constants of the program).
  explicit PassOptions(std::span<const PassOption> declared) : declared_(declared) {}

  /// Throws Error(usage) for an unknown name (with the nearest as hint) or a value out of its kind, choices or range.
  void set(std::string_view name, std::string_view value);

  bool given(std::string_view name) const;  ///< was set, and not only by its default
  bool has(std::string_view name) const;    ///< was set, or has a default
  bool flag(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  std::string text(std::string_view name) const;  ///< empty where not set

  const std::string& typed(std::string_view name) const;  ///< a given option as it was typed

  /// "{flops=0.5 align=8}", or an empty string where nothing was set.
  std::string str() const;
  bool operator==(const PassOptions& other) const { return given_ == other.given_; }

 private:
  const PassOption& declared(std::string_view name, PassOption::Kind kind) const;

  std::span<const PassOption> declared_;
  std::map<std::string, std::string, std::less<>> given_;
};

}  // namespace espalier
