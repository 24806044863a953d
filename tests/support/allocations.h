#pragma once

#include <cstdint>

namespace espalier::testing {

/// A program that calls these has its `operator new` counted. Allocations inside a library's call (inside_library() of
/// lib/kernels) are not ours and do not count.
void start_counting_allocations();
/// Allocations of all threads since the start.
int64_t stop_counting_allocations();

}  // namespace espalier::testing
