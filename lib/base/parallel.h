#pragma once

#include <cstdint>
#include <type_traits>

namespace espalier {

/// Threads that parallel loops and oneDNN use. Default: what affinity and the cgroup's CPU quota allow.
int thread_count();

/// Sets the number of threads of every later parallel loop, oneDNN's included. Throws Error(usage) below 1.
void set_thread_count(int threads);

namespace detail {
using ParallelBody = void (*)(void* context, int64_t begin, int64_t end);
void parallel_for(int64_t n, int64_t grain, ParallelBody body, void* context);
}  // namespace detail

/// Calls body(begin, end) on contiguous pieces that cover [0, n), one piece a thread; cuts fall on multiples of
/// `grain`. The pieces depend only on n, grain and thread_count(), so a loop is deterministic at a thread count.
/// Runs on the calling thread where n <= grain or inside another parallel loop. Allocates nothing. An exception
/// of the body is rethrown after the loop.
template <class Body>
void parallel_for(int64_t n, int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::parallel_for(
      n, grain, [](void* context, int64_t begin, int64_t end) { (*static_cast<Plain*>(context))(begin, end); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace espalier
