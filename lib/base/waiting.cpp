#include "lib/base/waiting.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

namespace espalier {

bool oversubscribed(std::string_view loadavg, unsigned cpus) {
  const size_t slash = loadavg.find('/');
  if (slash == loadavg.npos || cpus == 0) return false;
  const size_t space = loadavg.rfind(' ', slash);
  const std::string_view word = loadavg.substr(space + 1, slash - space - 1);
  unsigned running = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), running);
  return fault == std::errc() && running > cpus;
}

void wait_as_the_machine_allows(char** argv) {
  for (const char* policy : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) {
    if (std::getenv(policy)) return;
  }
  std::string line;
  std::getline(std::ifstream("/proc/loadavg"), line);
  if (!oversubscribed(line, std::thread::hardware_concurrency())) return;
  setenv("OMP_WAIT_POLICY", "passive", 0);
  execv("/proc/self/exe", argv);
}

}  // namespace espalier
