#define ESPALIER_LOOPS kRecurrentLoopsAvx2
#define ESPALIER_LOOPS_NAME "avx2"
#include "lib/kernels/recurrent_loops.inc"
