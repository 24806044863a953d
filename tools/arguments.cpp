#include "tools/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>

#include "lib/base/suggest.h"

namespace espalier {
namespace po = boost::program_options;
namespace {

constexpr const char* kWords = "word";

po::options_description describe(std::span<const OptionSpec> options) {
  po::options_description description;
  for (const OptionSpec& o : options) {
    if (o.value.empty()) description.add_options()(o.name.c_str(), po::value<std::string>()->implicit_value("true")->zero_tokens(), "");
    else description.add_options()(o.name.c_str(), po::value<std::string>(), "");
  }
  return description;
}

[[noreturn]] void unknown(const std::string& typed, std::span<const OptionSpec> options, const std::string& where) {
  std::string word = typed;
  while (!word.empty() && word.front() == '-') word.erase(0, 1);
  word = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const OptionSpec& o : options) names.push_back("--" + o.long_name());
  throw Error(ErrorKind::usage, where + "unknown option '" + typed + "'")
      .hint(did_you_mean("--" + word, names, "-h lists the options"));
}

// Boost's exceptions stop here.
po::variables_map parse_words(std::span<const std::string> words, std::span<const OptionSpec> options) {
  po::options_description all = describe(options);
  all.add_options()(kWords, po::value<std::vector<std::string>>(), "");
  po::positional_options_description bare;
  bare.add(kWords, -1);
  const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  po::variables_map map;
  try {
    po::store(po::command_line_parser(std::vector<std::string>(words.begin(), words.end())).options(all).positional(bare).style(style).run(), map);
  } catch (const po::unknown_option& error) {
    unknown(error.get_option_name(), options, "");
  } catch (const po::error& error) {
    throw Error(ErrorKind::usage, error.what()).hint("-h lists the options");
  }
  return map;
}

po::variables_map parse_config(const std::string& path, std::span<const OptionSpec> options) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorKind::io, "cannot read configuration '" + path + "'");
  po::variables_map map;
  try {
    po::store(po::parse_config_file(file, describe(options)), map);
  } catch (const po::unknown_option& error) {
    unknown(error.get_option_name(), options, path + ": ");
  } catch (const po::error& error) {
    throw Error(ErrorKind::usage, path + ": " + error.what()).hint("one option a line: NAME=VALUE");
  }
  return map;
}

std::string listed(std::span<const std::string> names) {
  std::string result;
  for (const std::string& n : names) result += (result.empty() ? "" : " ") + n;
  return result;
}

}  // namespace

std::vector<OptionSpec> common_options() {
  return {
      {"config", "FILE", "read options from a file, one NAME=VALUE a line; the command line overrides it", ""},
      {"json", "FILE", "write the results as JSON ('-': to stdout)", ""},
      {"seed", "N", "seed of everything random", "0"},
      {"threads", "N", "threads; by default what affinity and cgroup allow", ""},
      {"quiet,q", "", "print nothing but results and errors", ""},
      {"verbose,v", "", "say more about what is done", ""},
      {"help,h", "", "print this help", ""},
  };
}

std::vector<OptionSpec> options_of(std::span<const PassOption> options) {
  std::vector<OptionSpec> result;
  for (const PassOption& o : options) {
    std::string value = o.kind == PassOption::Kind::integer  ? "N"
                        : o.kind == PassOption::Kind::number ? "X"
                        : o.kind == PassOption::Kind::flag   ? "true|false"
                                                             : "TEXT";
    if (!o.choices.empty()) value = o.choices;
    result.push_back({std::string(o.name), value, std::string(o.help), std::string(o.fallback)});
  }
  return result;
}

Arguments Arguments::parse(std::span<const std::string> words, std::span<const OptionSpec> options,
                           std::span<const std::string> positional) {
  Arguments result;
  const auto typed = parse_words(words, options);
  const auto take = [&](const po::variables_map& map) {
    for (const OptionSpec& o : options) {
      if (map.count(o.long_name())) result.values_.try_emplace(o.long_name(), map[o.long_name()].as<std::string>());
    }
  };
  take(typed);
  for (const OptionSpec& o : options) result.fallbacks_[o.long_name()] = o.fallback;
  result.help_ = result.given("help");
  if (result.help_) return result;
  if (result.given("config")) take(parse_config(result.text("config"), options));

  if (typed.count(kWords)) result.positional_ = typed[kWords].as<std::vector<std::string>>();
  if (result.positional_.size() < positional.size()) {
    throw Error(ErrorKind::usage, "missing " + positional[result.positional_.size()]).hint("expected " + listed(positional));
  }
  if (result.positional_.size() > positional.size()) {
    throw Error(ErrorKind::usage, "unexpected '" + result.positional_[positional.size()] + "'")
        .hint(positional.empty() ? "-h shows what is expected" : "expected " + listed(positional));
  }
  if (result.quiet() && result.verbose()) throw Error(ErrorKind::usage, "--quiet and --verbose exclude each other");
  return result;
}

std::string Arguments::text(std::string_view name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  const auto fallback = fallbacks_.find(name);
  check(fallback != fallbacks_.end(), "a declared option: " + std::string(name));
  return fallback->second;
}

double Arguments::number(std::string_view name) const { return option_number(text(name), "--" + std::string(name)); }

int64_t Arguments::integer(std::string_view name, int64_t least) const {
  const int64_t value = option_integer(text(name), "--" + std::string(name));
  if (value < least) {
    throw Error(ErrorKind::usage, fmt::format("--{} is {}, expected at least {}", name, value, least));
  }
  return value;
}

std::string help_text(std::span<const OptionSpec> options) {
  std::vector<std::string> heads;
  size_t width = 0;
  for (const OptionSpec& o : options) {
    const size_t comma = o.name.find(',');
    std::string head = comma == std::string::npos ? "    " : "-" + o.name.substr(comma + 1) + ", ";
    head += "--" + o.long_name() + (o.value.empty() ? "" : " " + o.value);
    width = std::max(width, std::min<size_t>(head.size(), 32));
    heads.push_back(std::move(head));
  }
  std::string text;
  for (size_t i = 0; i < options.size(); ++i) {
    const std::string help = options[i].help + (options[i].fallback.empty() ? "" : " (default " + options[i].fallback + ")");
    if (heads[i].size() > width) text += fmt::format("  {}\n  {:<{}}  {}\n", heads[i], "", width, help);
    else text += fmt::format("  {:<{}}  {}\n", heads[i], width, help);
  }
  return text;
}

}  // namespace espalier
