#define ESPALIER_DEPTHWISE kDepthwiseBaseline
#include "lib/kernels/depthwise_loops.inc"
