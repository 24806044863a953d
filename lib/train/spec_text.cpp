#include "lib/train/spec_text.h"

#include <charconv>
#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void bad(std::string_view what, std::string_view text, const std::string& why) {
  throw Error(ErrorKind::usage, std::string(what) + " '" + std::string(text) + "': " + why)
      .hint("written as NAME or NAME{key=number key=number}");
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string number(double value) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof text, value);
  return {text, result.ptr};
}

}  // namespace

SpecText parse_spec_text(std::string_view text, std::string_view what) {
  const std::string_view whole = trimmed(text);
  const size_t brace = whole.find('{');
  SpecText spec{std::string(trimmed(whole.substr(0, brace))), {}};
  if (spec.name.empty()) bad(what, text, "has no name");
  if (brace == std::string_view::npos) return spec;
  if (whole.back() != '}') bad(what, text, "the brace is not closed");
  std::string_view rest = trimmed(whole.substr(brace + 1, whole.size() - brace - 2));
  while (!rest.empty()) {
    const size_t end = std::min(rest.find_first_of(" \t,"), rest.size());
    const std::string_view item = rest.substr(0, end);
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0) bad(what, text, "'" + std::string(item) + "' is not key=number");
    const std::string_view digits = item.substr(equals + 1);
    double value = 0;
    const auto [rest_of, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || rest_of != digits.data() + digits.size() || !std::isfinite(value)) {
      bad(what, text, "'" + std::string(digits) + "' is not a number");
    }
    if (!spec.given.emplace(std::string(item.substr(0, equals)), value).second) {
      bad(what, text, "'" + std::string(item.substr(0, equals)) + "' is given twice");
    }
    const size_t next = rest.find_first_not_of(" \t,", end);
    rest = next == std::string_view::npos ? std::string_view() : rest.substr(next);
  }
  return spec;
}

ParameterValues parameter_values(const SpecText& spec, std::span<const Parameter> parameters, std::string_view what) {
  ParameterValues values;
  std::string names;
  for (const Parameter& p : parameters) {
    values[std::string(p.name)] = p.value;
    names += (names.empty() ? "" : ", ") + std::string(p.name);
  }
  for (const auto& [name, value] : spec.given) {
    const Parameter* found = nullptr;
    for (const Parameter& p : parameters) {
      if (p.name == name) found = &p;
    }
    if (!found) {
      throw Error(ErrorKind::usage, std::string(what) + " '" + spec.name + "' has no parameter '" + name + "'")
          .hint(names.empty() ? "it takes none" : "it takes " + names);
    }
    if (value < found->least || value > found->most) {
      throw Error(ErrorKind::usage, std::string(what) + " '" + spec.name + "': " + name + " is " + number(value) +
                                        ", expected one in [" + number(found->least) + ", " + number(found->most) + "]");
    }
    values[name] = value;
  }
  return values;
}

}  // namespace espalier
