#include <algorithm>
#include <cctype>

#include "lib/base/suggest.h"
#include "passes/pipeline.h"

namespace espalier {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Pipeline parse() {
    Pipeline pipeline;
    skip_space();
    while (!at_end()) {
      const size_t start = at_;
      const std::string word = read_name("a pass");
      const Pass* pass = find_pass(word);
      if (!pass) {
        std::vector<std::string> names;
        for (const Pass* p : all_passes()) names.emplace_back(p->name);
        fail(start, "unknown pass '" + word + "'", did_you_mean(word, names, "espalier passes lists them"));
      }
      pipeline.add(*pass, read_options(*pass));
      skip_space();
      if (at_end()) break;
      if (text_[at_] != ',') fail(at_, std::string("found '") + text_[at_] + "', expected ',' or '{' after " + word);
      ++at_;
      skip_space();
      if (at_end()) fail(at_, "found the end, expected a pass after ','");
    }
    return pipeline;
  }

 private:
  [[noreturn]] void fail(size_t at, const std::string& message, std::string hint = "") const {
    throw Error(ErrorKind::usage, "pipeline, column " + std::to_string(at + 1) + ": " + message).hint(std::move(hint));
  }

  bool at_end() const { return at_ >= text_.size(); }

  void skip_space() {
    while (!at_end() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  std::string read_name(std::string_view what) {
    const size_t start = at_;
    while (!at_end() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '-' || text_[at_] == '_')) ++at_;
    if (at_ == start) {
      const std::string found = at_end() ? "the end" : std::string("'") + text_[at_] + "'";
      fail(start, "found " + found + ", expected " + std::string(what));
    }
    return std::string(text_.substr(start, at_ - start));
  }

  PassOptions read_options(const Pass& pass) {
    PassOptions options(pass.options);
    skip_space();
    if (at_end() || text_[at_] != '{') return options;
    ++at_;
    for (skip_space(); at_end() || text_[at_] != '}'; skip_space()) {
      if (at_end()) fail(at_, "found the end, expected '}'");
      const size_t start = at_;
      const std::string option = read_name("an option or '}'");
      if (at_end() || text_[at_] != '=') fail(at_, "expected '=' after option '" + option + "'");
      ++at_;
      const std::string value = read_value();
      if (options.given(option)) fail(start, "option '" + option + "' of " + std::string(pass.name) + " is given twice");
      try {
        options.set(option, value);
      } catch (const Error& error) {
        fail(start, std::string(pass.name) + ": " + error.what(), error.hint());
      }
    }
    ++at_;
    return options;
  }

  std::string read_value() {
    if (!at_end() && text_[at_] == '"') return read_quoted();
    const size_t start = at_;
    while (!at_end() && !std::isspace(static_cast<unsigned char>(text_[at_])) && text_[at_] != '}') {
      if (text_[at_] == '"' || text_[at_] == '{' || text_[at_] == '=') {
        fail(at_, std::string("found '") + text_[at_] + "' in a value", "put the value in double quotes");
      }
      ++at_;
    }
    if (at_ == start) fail(start, "expected a value");
    if (text_[at_ - 1] == ',') fail(at_ - 1, "found ',' after a value", "options are separated by spaces: {flops=0.5 align=8}");
    return std::string(text_.substr(start, at_ - start));
  }

  std::string read_quoted() {
    const size_t start = at_++;
    std::string value;
    while (!at_end() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_++];
    }
    if (at_end()) fail(start, "the quote is not closed");
    ++at_;
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Pipeline Pipeline::parse(std::string_view text) { return Parser(text).parse(); }

std::string Pipeline::str() const {
  std::string result;
  for (const Step& step : steps_) result += (result.empty() ? "" : ", ") + step.str();
  return result;
}

}  // namespace espalier
