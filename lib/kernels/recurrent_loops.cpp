#include "lib/kernels/recurrent_loops.h"

#include "lib/kernels/vector_loops.h"

namespace espalier {

const RecurrentLoops& recurrent_loops() {
  if (&vector_loops() == &kLoopsAvx512) return kRecurrentLoopsAvx512;
  if (&vector_loops() == &kLoopsAvx2) return kRecurrentLoopsAvx2;
  return kRecurrentLoopsBaseline;
}

}  // namespace espalier
