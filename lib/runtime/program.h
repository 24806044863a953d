#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/serial.h"
#include "lib/kernels/kernel.h"

namespace espalier {

/// What a step is called in a profile.
struct StepLabel {
  std::string node, op, implementation;
  int64_t macs = 0;
};

/// Steps and the memory they work on: what a plan is once it is compiled. Buffers that no one else owns share one arena:
/// two buffers may overlap there if no step lies between the first use of the one and the last use of both.
class Program {
 public:
  /// Memory from the arena. `lasts`: its content must survive until the end of the run.
  int add_buffer(size_t bytes, bool lasts = false);
  /// Memory that belongs to somebody else.
  int add_fixed(void* address, size_t bytes);
  /// Memory of the program's own, outside the arena: constants, graph inputs.
  int add_owned(size_t bytes);
  void make_last(int buffer) { buffers_[buffer].lasts = true; }
  size_t bytes(int buffer) const { return buffers_[buffer].bytes; }
  bool in_arena(int buffer) const { return buffers_[buffer].address == nullptr; }

  /// `serial`: made inside a SerialScope, and bound and run in one.
  void add_step(std::unique_ptr<Kernel> kernel, std::vector<int> args, StepLabel label, bool serial);

  /// Lays the arena out and binds every step. Nothing can be added afterwards.
  void finish();

  std::byte* address(int buffer) const { return buffers_[buffer].address; }
  size_t arena_bytes() const { return arena_.size(); }
  size_t step_count() const { return steps_.size(); }
  const StepLabel& label(size_t step) const { return steps_[step].label; }

  void run() {
    for (Step& step : steps_) {
      const SerialScope scope(step.serial);
      step.kernel->run();
    }
  }
  /// The same, adding each step's nanoseconds to `spent`.
  void run_timed(std::vector<int64_t>& spent);

 private:
  struct Buffer {
    size_t bytes = 0;
    std::byte* address = nullptr;
    bool lasts = false;
    int first = -1, last = -1;  // steps
    size_t offset = 0;
  };
  struct Step {
    std::unique_ptr<Kernel> kernel;
    std::vector<int> args;
    StepLabel label;
    bool serial = false;
  };

  size_t lay_out();

  std::vector<Buffer> buffers_;
  std::vector<Step> steps_;
  std::vector<AlignedBuffer> owned_;
  AlignedBuffer arena_;
};

}  // namespace espalier
