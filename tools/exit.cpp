#include "tools/exit.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

#include "lib/base/error.h"
#include "lib/report/table.h"

namespace espalier {
namespace {

volatile std::sig_atomic_t signals = 0;

void on_signal(int) {
  if (signals > 0) _exit(static_cast<int>(ErrorKind::interrupted));
  signals = 1;
}

int fail(ErrorKind kind, const std::string& message, const std::string& hint) {
  std::fflush(stdout);
  std::fprintf(stderr, "espalier: error: %s\n", printable(message).c_str());
  if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", printable(hint).c_str());
  return static_cast<int>(kind);
}

}  // namespace

int exit_code_of(const std::function<void()>& body) {
  try {
    body();
    if (std::fflush(stdout) != 0) return fail(ErrorKind::io, "cannot write to stdout", "");
    return 0;
  } catch (const Error& error) {
    return fail(error.kind(), error.what(), error.hint());
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::internal, "out of memory", "");
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(ErrorKind::io, error.code().message() + ": '" + error.path1().string() + "'", "");
  } catch (const std::system_error& error) {  // a stream that cannot be written
    return fail(ErrorKind::io, error.what(), "");
  } catch (const std::exception& error) {
    return fail(ErrorKind::internal, std::string("unexpected: ") + error.what(), "this is a bug of espalier");
  } catch (...) {
    return fail(ErrorKind::internal, "unexpected exception", "this is a bug of espalier");
  }
}

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return signals > 0; }

}  // namespace espalier
