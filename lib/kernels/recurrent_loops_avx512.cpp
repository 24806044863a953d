#define ESPALIER_LOOPS kRecurrentLoopsAvx512
#define ESPALIER_LOOPS_NAME "avx512"
#include "lib/kernels/recurrent_loops.inc"
