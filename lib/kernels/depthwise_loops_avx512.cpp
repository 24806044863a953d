#define ESPALIER_DEPTHWISE kDepthwiseAvx512
#include "lib/kernels/depthwise_loops.inc"
