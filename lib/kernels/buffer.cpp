#include <cstdlib>
#include <cstring>
#include <new>

#include "lib/kernels/kernel.h"

namespace espalier {

constexpr size_t kPage = 4096;

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  const size_t whole = (bytes + kPage - 1) / kPage * kPage;
  if (whole == 0) return;
  void* memory = std::aligned_alloc(kPage, whole);
  if (!memory) throw std::bad_alloc();
  std::memset(memory, 0, whole);  // touches every page now, not in the first step
  data_.reset(static_cast<std::byte*>(memory));
}

void AlignedBuffer::Free::operator()(std::byte* p) const { std::free(p); }

}  // namespace espalier
