#include "lib/kernels/row_loops.h"

#include "lib/kernels/vector_loops.h"

namespace espalier {

const RowLoops& row_loops() {
  static const RowLoops& best = [&]() -> const RowLoops& {
    if (&vector_loops() == &kLoopsAvx512) return kRowsAvx512;
    if (&vector_loops() == &kLoopsAvx2) return kRowsAvx2;
    return kRowsBaseline;
  }();
  return best;
}

}  // namespace espalier
