#include "lib/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <string>

#include "lib/base/error.h"
#include "lib/base/serial.h"

// libgomp's own entry points: one thread pool under every compiler, shared with oneDNN.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
void omp_set_num_threads(int threads);
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
void omp_set_dynamic(int on);
}

namespace espalier {
namespace {

int affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

/// CPUs that cgroup v2 grants, rounded up; a large number where there is no quota.
int cgroup_count() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1 << 20;
  try {
    return std::max(1, static_cast<int>((std::stod(quota) + period - 1) / period));
  } catch (const std::exception&) {
    return 1 << 20;
  }
}

int default_count() {
  const int count = std::min(affinity_count(), cgroup_count());
  omp_set_dynamic(0);
  omp_set_num_threads(count);
  return count;
}

int& current_count() {
  static int count = default_count();
  return count;
}

struct Loop {
  int64_t n, grain;
  detail::ParallelBody body;
  void* context;
  std::exception_ptr errors[256];

  void run_piece(int64_t index, int64_t pieces) {
    const int64_t grains = (n + grain - 1) / grain;
    const int64_t begin = std::min(n, grains * index / pieces * grain);
    const int64_t end = std::min(n, grains * (index + 1) / pieces * grain);
    if (begin < end) body(context, begin, end);
  }
};

void run_on_thread(void* data) {
  auto& loop = *static_cast<Loop*>(data);
  const int index = omp_get_thread_num();
  try {
    loop.run_piece(index, omp_get_num_threads());
  } catch (...) {
    loop.errors[index % 256] = std::current_exception();
  }
}

thread_local int serial_scopes = 0;

}  // namespace

SerialScope::SerialScope(bool active) : active_(active) {
  if (active_ && serial_scopes++ == 0) omp_set_num_threads(1);
}

SerialScope::~SerialScope() {
  if (active_ && --serial_scopes == 0) omp_set_num_threads(current_count());
}

int thread_count() { return serial_scopes > 0 ? 1 : current_count(); }

void set_thread_count(int threads) {
  if (threads < 1) {
    throw Error(ErrorKind::usage, "number of threads is " + std::to_string(threads) + ", expected at least 1");
  }
  current_count() = std::min(threads, 256);
  if (serial_scopes == 0) omp_set_num_threads(current_count());
}

void detail::parallel_for(int64_t n, int64_t grain, ParallelBody body, void* context) {
  if (n <= 0) return;
  grain = std::max<int64_t>(1, grain);
  const int64_t pieces = std::min<int64_t>((n + grain - 1) / grain, thread_count());
  if (pieces <= 1 || omp_in_parallel()) {
    body(context, 0, n);
    return;
  }
  Loop loop{n, grain, body, context, {}};
  GOMP_parallel(run_on_thread, &loop, static_cast<unsigned>(pieces), 0);
  for (int64_t i = 0; i < pieces; ++i) {
    if (loop.errors[i]) std::rethrow_exception(loop.errors[i]);
  }
}

}  // namespace espalier
