#define ESPALIER_LOOPS kLoopsAvx512
#define ESPALIER_LOOPS_NAME "avx512"
#include "lib/kernels/vector_loops.inc"
