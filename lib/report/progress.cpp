#include "lib/report/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lib/report/table.h"
#include "lib/report/units.h"

namespace espalier {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string progress_line(const std::string& what, int64_t done, int64_t total, double seconds, const std::string& note, size_t width) {
  std::string line = what;
  if (total > 0) line += fmt::format("  {:3.0f} %", 100.0 * static_cast<double>(std::min(done, total)) / static_cast<double>(total));
  if (done > 0 && seconds > 0) {
    const double rate = static_cast<double>(done) / seconds;
    line += "  " + count_text(rate) + "/s";
    if (total > done) line += "  " + seconds_text(static_cast<double>(total - done) / rate) + " left";
  }
  if (!note.empty()) line += "  " + note;
  line = printable(line);
  if (line.size() > width) line.resize(width);
  return line;
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1), started_(Clock::now()), drawn_() {}

Progress::~Progress() { clear(); }

void Progress::start(std::string what, int64_t total) {
  what_ = std::move(what);
  total_ = total;
  started_ = Clock::now();
}

void Progress::update(int64_t done, const std::string& note) {
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now - drawn_ < kInterval) return;
  drawn_ = now;
  dirty_ = true;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const std::string line = progress_line(what_, done, total_, seconds, note, terminal_width() - 1);
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!dirty_) return;
  std::fprintf(stderr, "\r\x1b[K");
  std::fflush(stderr);
  dirty_ = false;
}

}  // namespace espalier
