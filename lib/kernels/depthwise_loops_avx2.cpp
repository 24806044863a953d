#define ESPALIER_DEPTHWISE kDepthwiseAvx2
#include "lib/kernels/depthwise_loops.inc"
