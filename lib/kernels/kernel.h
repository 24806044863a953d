#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/kernels/layout.h"

namespace espalier {

/// One step of a plan. Everything is decided when it is made; bind() hands over the memory once, run() only computes.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Addresses of the arguments, in the order that the kernel's maker documents. May be called again.
  virtual void bind(std::span<void* const> args) = 0;
  /// Allocates nothing of ours.
  virtual void run() = 0;
};

/// Opaque description of a forward primitive that its backward primitives need.
using ForwardHint = std::shared_ptr<const void>;

/// A primitive that has chosen its layouts.
struct Primitive {
  std::vector<Layout> args;      ///< by argument, in bind() order
  size_t scratch_bytes = 0;      ///< a scratchpad of this size is the argument after `args`, where not zero
  std::string implementation;    ///< oneDNN's name of it: "jit:avx512_core", "ref:any"
  std::unique_ptr<Kernel> kernel;
  ForwardHint hint;
};

/// Memory aligned to 64 bytes and zeroed, in whole pages.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);
  std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

/// Counters that tests read: oneDNN primitives created so far by this process, and whether some thread is at present
/// inside a call into oneDNN (whose own allocations are not ours).
int64_t primitives_created();
bool inside_library();

}  // namespace espalier
