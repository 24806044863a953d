#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

/// The mean of (a - b)^2 over `elements`. Arguments: a, b, one float. Both in `layout`, whose padding is zero.
std::unique_ptr<Kernel> squared_error(const Layout& layout, int64_t elements);
/// 2 dy (a - b) / elements. Arguments: a, b, dy (one float), da (may be the memory of a or b).
std::unique_ptr<Kernel> squared_error_backward(const Layout& layout, int64_t elements);

/// Distillation (Hinton et al. 2015): T^2 times the mean over batch and positions of KL(softmax(teacher / T) ||
/// softmax(student / T)), classes in the middle of a plain [batch, classes, inner].
struct SoftTargetProblem {
  int64_t batch, classes, inner;
  float temperature = 1;

  int64_t count() const { return batch * classes * inner; }
};

/// Arguments: student, teacher, the loss (one float), scratch of 2 count() floats.
std::unique_ptr<Kernel> soft_target_loss(const SoftTargetProblem& problem);
/// Arguments: student, teacher, dy (one float), dstudent, scratch of count() floats.
std::unique_ptr<Kernel> soft_target_backward(const SoftTargetProblem& problem);

}  // namespace espalier
