#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace espalier {

/// A named number that a rule or a schedule takes.
struct Parameter {
  std::string_view name;
  double value;           ///< default
  double least, most;     ///< inclusive bounds
  std::string_view help;
};

/// Values of all parameters of one rule or schedule, by name.
using ParameterValues = std::map<std::string, double, std::less<>>;

/// "adamw{beta1=0.8 eps=1e-6}" as name and text of the braces; "adamw" has none. Throws Error(usage) for other forms.
struct SpecText {
  std::string name;
  std::map<std::string, double> given;
};
SpecText parse_spec_text(std::string_view text, std::string_view what);

/// Defaults of `parameters` with what was given. Throws Error(usage) naming what is not known or out of bounds.
ParameterValues parameter_values(const SpecText& spec, std::span<const Parameter> parameters, std::string_view what);

}  // namespace espalier
