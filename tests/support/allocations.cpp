#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "lib/kernels/kernel.h"

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<bool> counting{false};

void* counted(std::size_t bytes) {
  if (counting && !espalier::inside_library()) ++allocations;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace espalier::testing {

void start_counting_allocations() {
  allocations = 0;
  counting = true;
}

int64_t stop_counting_allocations() {
  counting = false;
  return allocations;
}

}  // namespace espalier::testing
