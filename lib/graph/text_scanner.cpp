#include "lib/graph/text_scanner.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier::text {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') (result += '\\') += c;
    else if (c == '\n') result += "\\n";
    else if (byte < 0x20 || byte >= 0x7f) ((result += "\\x") += kHex[byte >> 4]) += kHex[byte & 15];
    else result += c;
  }
  return result + '"';
}

std::string quoted_if_needed(std::string_view name) {
  const bool bare = !name.empty() && name != "_" && name != "..." && std::all_of(name.begin(), name.end(), is_name_char);
  return bare ? std::string(name) : quoted(name);
}

void Scanner::skip() {
  while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == '#')) {
    if (text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
    else ++at_;
  }
}

bool Scanner::at_end() { return position() == text_.size(); }

size_t Scanner::position() {
  skip();
  return at_;
}

bool Scanner::looking_at(std::string_view symbol) { return text_.substr(position(), symbol.size()) == symbol; }

bool Scanner::accept(std::string_view symbol) {
  if (!looking_at(symbol)) return false;
  at_ += symbol.size();
  return true;
}

bool Scanner::accept_word(std::string_view word) {
  if (!looking_at(word)) return false;
  const size_t end = at_ + word.size();
  if (end < text_.size() && is_name_char(text_[end])) return false;
  at_ = end;
  return true;
}

void Scanner::expect(std::string_view symbol) {
  if (accept(symbol)) return;
  const std::string found = at_ < text_.size() ? "'" + std::string(1, text_[at_]) + "'" : "the end";
  fail("expected '" + std::string(symbol) + "', found " + found);
}

std::string Scanner::name() {
  if (looking_at_quote()) return string();
  const size_t begin = at_;
  while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
  if (at_ == begin) fail("expected a name");
  return std::string(text_.substr(begin, at_ - begin));
}

std::string Scanner::string() {
  expect("\"");
  const size_t begin = at_ - 1;
  std::string result;
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_++];
    if (c == '\\') {
      if (at_ == text_.size()) break;
      c = text_[at_++];
      if (c == 'n') c = '\n';
      else if (c == 'x') {
        int byte = 0;
        const auto digits = text_.substr(at_, 2);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (error != std::errc() || end != digits.data() + 2) fail("expected two hexadecimal digits after \\x");
        c = static_cast<char>(byte);
        at_ += 2;
      } else if (c != '"' && c != '\\') {
        fail("unknown escape in a string");
      }
    }
    result += c;
  }
  if (at_ == text_.size()) fail_at(begin, "string is not closed");
  ++at_;
  return result;
}

std::string_view Scanner::number() {
  const size_t begin = position();
  if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
  const size_t digits = at_;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    const bool exponent_sign = (c == '-' || c == '+') && at_ > digits && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E');
    if (!exponent_sign && (!is_name_char(c) || c == '/' || c == '_' || c == '$')) break;
    ++at_;
  }
  std::string_view result = text_.substr(begin, at_ - begin);
  if (result.starts_with('+')) result.remove_prefix(1);
  const std::string_view rest = text_.substr(digits, at_ - digits);
  if (rest != "inf" && rest != "nan" && (rest.empty() || rest.find_first_not_of("0123456789.eE+-") != rest.npos)) {
    fail_at(begin, "expected a number");
  }
  return result;
}

int64_t Scanner::integer() { return to<int64_t>(number()); }

std::string_view Scanner::hex_digits() {
  const size_t begin = position();
  while (at_ < text_.size() && kHex.find(text_[at_]) != kHex.npos) ++at_;
  return text_.substr(begin, at_ - begin);
}

void Scanner::fail_at(size_t position, const std::string& message) const {
  const std::string_view before = text_.substr(0, std::min(position, text_.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n');
  const size_t column = before.size() - (start == before.npos ? 0 : start + 1) + 1;
  throw Error(ErrorKind::bad_data,
              "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message);
}

}  // namespace espalier::text
