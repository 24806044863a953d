#define ESPALIER_LOOPS kLoopsAvx2
#define ESPALIER_LOOPS_NAME "avx2"
#include "lib/kernels/vector_loops.inc"
