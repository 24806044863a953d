#define ESPALIER_ROWS kRowsBaseline
#define ESPALIER_ROWS_NAME "sse2"
#include "lib/kernels/row_loops.inc"
