#include "passes/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "lib/base/suggest.h"

namespace espalier {
namespace {

using Kind = PassOption::Kind;

[[noreturn]] void refuse(std::string_view what, std::string_view text, std::string_view expected) {
  throw Error(ErrorKind::usage, std::string(what) + " is '" + std::string(text) + "', expected " + std::string(expected));
}

bool read(std::string_view text, double* value) {
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *value);
  return result.ec == std::errc() && result.ptr == end && std::isfinite(*value);
}

std::vector<std::string> split(std::string_view choices) {
  std::vector<std::string> words;
  while (!choices.empty()) {
    const size_t bar = std::min(choices.find('|'), choices.size());
    words.emplace_back(choices.substr(0, bar));
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return words;
}

std::string number_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

void check_range(const PassOption& option, std::string_view text, double value) {
  if (value >= option.least && value <= option.most) return;
  std::string expected = "at least " + number_text(option.least);
  if (std::isinf(option.least)) expected = "at most " + number_text(option.most);
  else if (!std::isinf(option.most)) expected = number_text(option.least) + " to " + number_text(option.most);
  refuse(option.name, text, expected);
}

// Words that can stand bare in pipeline text.
bool bare(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n{}\"\\=") == std::string_view::npos && text.back() != ',';
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

}  // namespace

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::flag: return "flag";
    case Kind::integer: return "integer";
    case Kind::number: return "number";
    case Kind::text: return "text";
  }
  return "?";
}

double option_number(std::string_view text, std::string_view what) {
  double value = 0, divisor = 1;
  const size_t slash = text.find('/');
  const bool ok = slash == std::string_view::npos
                      ? read(text, &value)
                      : read(text.substr(0, slash), &value) && read(text.substr(slash + 1), &divisor) && divisor != 0;
  if (!ok) refuse(what, text, "a number such as 0.5, 1e-3 or 1/255");
  return value / divisor;
}

int64_t option_integer(std::string_view text, std::string_view what) {
  int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) refuse(what, text, "an integer");
  return value;
}

bool option_flag(std::string_view text, std::string_view what) {
  if (text == "true" || text == "1" || text == "yes") return true;
  if (text == "false" || text == "0" || text == "no") return false;
  refuse(what, text, "true or false");
}

void PassOptions::set(std::string_view name, std::string_view value) {
  const auto found = std::find_if(declared_.begin(), declared_.end(), [&](const PassOption& o) { return o.name == name; });
  if (found == declared_.end()) {
    std::vector<std::string> names;
    for (const PassOption& o : declared_) names.emplace_back(o.name);
    std::string all = names.empty() ? "it has no options" : "its options are ";
    for (size_t i = 0; i < names.size(); ++i) all += (i ? ", " : "") + names[i];
    throw Error(ErrorKind::usage, "unknown option '" + std::string(name) + "'").hint(did_you_mean(name, names, all));
  }
  switch (found->kind) {
    case Kind::flag: option_flag(value, name); break;
    case Kind::integer: check_range(*found, value, static_cast<double>(option_integer(value, name))); break;
    case Kind::number: check_range(*found, value, option_number(value, name)); break;
    case Kind::text: {
      const auto choices = split(found->choices);
      if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) break;
      std::string expected = "one of";
      for (size_t i = 0; i < choices.size(); ++i) expected += (i ? ", " : " ") + choices[i];
      refuse(name, value, expected);
    }
  }
  given_[std::string(name)] = value;
}

const PassOption& PassOptions::declared(std::string_view name, Kind kind) const {
  for (const PassOption& o : declared_) {
    if (o.name == name && o.kind == kind) return o;
  }
  throw Error(ErrorKind::internal, "a pass reads option '" + std::string(name) + "', which it does not declare as " +
                                       std::string(espalier::name(kind)));
}

bool PassOptions::given(std::string_view name) const { return given_.contains(name); }

bool PassOptions::has(std::string_view name) const {
  if (given(name)) return true;
  return std::any_of(declared_.begin(), declared_.end(),
                     [&](const PassOption& o) { return o.name == name && !o.fallback.empty(); });
}

namespace {

std::string_view value_of(const std::map<std::string, std::string, std::less<>>& given, const PassOption& option) {
  const auto found = given.find(option.name);
  return found == given.end() ? option.fallback : std::string_view(found->second);
}

}  // namespace

bool PassOptions::flag(std::string_view name) const {
  const auto text = value_of(given_, declared(name, Kind::flag));
  return !text.empty() && option_flag(text, name);
}

int64_t PassOptions::integer(std::string_view name) const {
  return option_integer(value_of(given_, declared(name, Kind::integer)), name);
}

double PassOptions::number(std::string_view name) const {
  return option_number(value_of(given_, declared(name, Kind::number)), name);
}

std::string PassOptions::text(std::string_view name) const {
  return std::string(value_of(given_, declared(name, Kind::text)));
}

const std::string& PassOptions::typed(std::string_view name) const {
  const auto found = given_.find(name);
  check(found != given_.end(), "an option that was given");
  return found->second;
}

std::string PassOptions::str() const {
  std::string result;
  for (const PassOption& o : declared_) {
    const auto found = given_.find(o.name);
    if (found == given_.end()) continue;
    result += result.empty() ? "{" : " ";
    result += found->first + "=" + (bare(found->second) ? found->second : quoted(found->second));
  }
  return result.empty() ? result : result + "}";
}

}  // namespace espalier
