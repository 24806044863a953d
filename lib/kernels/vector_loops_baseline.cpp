#define ESPALIER_LOOPS kLoopsBaseline
#define ESPALIER_LOOPS_NAME "sse2"
#include "lib/kernels/vector_loops.inc"
