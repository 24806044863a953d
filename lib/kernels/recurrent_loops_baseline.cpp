#define ESPALIER_LOOPS kRecurrentLoopsBaseline
#define ESPALIER_LOOPS_NAME "sse2"
#include "lib/kernels/recurrent_loops.inc"
