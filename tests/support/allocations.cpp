#include "tests/support/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "lib/kernels/kernel.h"

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<bool> counting{false};

void* counted(std::size_t bytes, std::align_val_t aligned = std::align_val_t(1)) noexcept {
  const std::size_t alignment = std::size_t(aligned);
  if (counting && !espalier::inside_library()) ++allocations;
  if (!bytes) bytes = 1;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(bytes);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* counted_or_throw(std::size_t bytes, std::align_val_t alignment = std::align_val_t(1)) {
  if (void* p = counted(bytes, alignment)) return p;
  throw std::bad_alloc();
}

}  // namespace

// Every form, for a sanitizer brings its own of what is missing here, and takes them for a mismatch with our delete.
void* operator new(std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new(std::size_t bytes, std::align_val_t to) { return counted_or_throw(bytes, to); }
void* operator new[](std::size_t bytes, std::align_val_t to) { return counted_or_throw(bytes, to); }
void* operator new(std::size_t bytes, std::align_val_t to, const std::nothrow_t&) noexcept { return counted(bytes, to); }
void* operator new[](std::size_t bytes, std::align_val_t to, const std::nothrow_t&) noexcept { return counted(bytes, to); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }

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
