#include "lib/kernels/depthwise_loops.h"

#include "lib/kernels/vector_loops.h"

namespace espalier {

const DepthwiseLoops& depthwise_loops() {
  static const DepthwiseLoops& best = [&]() -> const DepthwiseLoops& {
    if (&vector_loops() == &kLoopsAvx512) return kDepthwiseAvx512;
    if (&vector_loops() == &kLoopsAvx2) return kDepthwiseAvx2;
    return kDepthwiseBaseline;
  }();
  return best;
}

}  // namespace espalier
