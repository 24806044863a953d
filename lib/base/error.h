#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace espalier {

/// Why an operation failed. The value is the exit code of the command (DESIGN.md section 8).
enum class ErrorKind {
  internal = 1,      ///< a bug of ours
  usage = 2,         ///< wrong usage or configuration
  bad_data = 3,      ///< bad model or data
  verification = 4,  ///< a result did not pass its check
  target = 5,        ///< a target was not reached
  io = 6,            ///< cannot read or write
  non_finite = 7,    ///< numbers became infinite or NaN
  interrupted = 75,  ///< stopped on request, resumable
};

namespace detail {
/// Names in a message come from files: control characters become '?', and what is endless ends.
inline std::string one_line(std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (message.size() > 1000) message.replace(1000, std::string::npos, "...");
  return message;
}
}  // namespace detail

/// The one exception type. The message is one line, lower case, without a final period, and names node, op,
/// tensor, actual and expected where they are known; the hint says what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(detail::one_line(message)), kind_(kind) {}

  /// Adds what the user can do about it: `throw Error(kind, "...").hint("...")`.
  Error& hint(std::string text) {
    hint_ = std::move(text);
    return *this;
  }

  ErrorKind kind() const { return kind_; }
  const std::string& hint() const { return hint_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
  std::string hint_;
};

/// Checks an invariant of ours that no input can break. Throws Error(internal), in release builds as well.
inline void check(bool holds, std::string_view invariant) {
  if (!holds) throw Error(ErrorKind::internal, "broken invariant: " + std::string(invariant));
}

}  // namespace espalier
