#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace espalier {

/// "epoch 2/5  40 %  1.23 k/s  12.3 s left  loss 0.1234": what was done of `total` (0: not known) after `seconds`,
/// cut to `width` columns.
std::string progress_line(const std::string& what, int64_t done, int64_t total, double seconds, const std::string& note, size_t width);

/// One line on stderr that is rewritten in place, at most ten times a second. Where stderr is no terminal it writes
/// nothing. Not for use from several threads at once.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Starts anew: `what` is done `total` times. An empty name rewrites nothing until update().
  void start(std::string what, int64_t total);
  void update(int64_t done, const std::string& note = "");
  /// Takes the line away, so that something else can be printed.
  void clear();
  bool shown() const { return terminal_; }

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_ = false, dirty_ = false;
  std::string what_;
  int64_t total_ = 0;
  Clock::time_point started_, drawn_;
};

}  // namespace espalier
