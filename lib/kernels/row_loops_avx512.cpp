#define ESPALIER_ROWS kRowsAvx512
#define ESPALIER_ROWS_NAME "avx512"
#include "lib/kernels/row_loops.inc"
