#include "lib/kernels/vector_loops.h"

namespace espalier {

const VectorLoops& vector_loops() {
  static const VectorLoops& best = [&]() -> const VectorLoops& {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
      return kLoopsAvx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ) return kLoopsAvx2;
    return kLoopsBaseline;
  }();
  return best;
}

}  // namespace espalier
