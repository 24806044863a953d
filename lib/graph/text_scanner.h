#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::text {

/// True for the characters of a name that needs no quotes.
inline bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' ||
         c == '$';
}

/// The name itself, or quoted with escapes where it has other characters, is empty, or is `_`.
std::string quoted_if_needed(std::string_view name);
std::string quoted(std::string_view text);

/// Characters of the text form with a place in it. Space and comments (`#` to the end of the line) are skipped before
/// every item. Errors are Error(bad_data) with line and column.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end();
  bool looking_at(std::string_view symbol);       ///< the next characters, without taking them
  bool accept(std::string_view symbol);           ///< takes the characters if they are next
  bool accept_word(std::string_view word);        ///< takes the word if it is next and ends there
  void expect(std::string_view symbol);
  char peek() { return at_end() ? '\0' : text_[at_]; }
  bool looking_at_quote() { return looking_at("\""); }

  std::string name();            ///< bare or quoted
  std::string string();          ///< quoted
  std::string_view number();     ///< the characters of a number, `inf` and `nan` included
  int64_t integer();             ///< of a number without fraction
  std::string_view hex_digits(); ///< may be empty

  size_t position();             ///< after space
  void seek(size_t position) { at_ = position; }
  [[noreturn]] void fail(const std::string& message) { fail_at(at_, message); }
  [[noreturn]] void fail_at(size_t position, const std::string& message) const;

  /// The number's value. Throws where it does not fit in T.
  template <class T>
  T to(std::string_view digits) {
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      fail("number " + std::string(digits) + " does not fit its type");
    }
    return value;
  }

 private:
  void skip();

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace espalier::text
