#pragma once

#include "lib/kernels/conv.h"

namespace espalier {

// Convolutions with one kernel a channel (group = C = O) by our own loops. conv.h takes them where oneDNN has nothing but its
// plain loops: kernels along one axis, dilations, 5x5 kernels on small images, weight gradients of some strides (oneDNN 3.7
// on AVX-512: two hundred times slower). Weights and bias lie plain, images in blocks of channels; arguments as in conv.h.

bool is_depthwise(const ConvProblem& problem);

Primitive depthwise_forward(const ConvProblem& problem, const Layout& src);
Primitive depthwise_backward_data(const ConvProblem& problem, const Layout& diff_dst, const Layout& diff_src);
Primitive depthwise_backward_weights(const ConvProblem& problem, const Layout& src, const Layout& diff_dst);

}  // namespace espalier
