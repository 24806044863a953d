#define ESPALIER_ROWS kRowsAvx2
#define ESPALIER_ROWS_NAME "avx2"
#include "lib/kernels/row_loops.inc"
