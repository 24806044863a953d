#pragma once

#include <optional>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Cross-entropy of softmax(scores) in nats. scores: float [N, C, inner], plain; labels: int64 or int32 [N, inner].
struct CrossEntropyProblem {
  int64_t batch, classes, inner;
  DataType label_type = DataType::int64;
  bool mean = true;                     ///< otherwise the sum over all positions
  std::optional<int64_t> ignore_index;  ///< positions with this label count nowhere
};

/// Arguments: scores, labels, loss (one float). run() throws Error(bad_data) for a label out of [0, C).
std::unique_ptr<Kernel> cross_entropy(const CrossEntropyProblem& problem);
/// Arguments: scores, labels, dy (one float), dscores.
std::unique_ptr<Kernel> cross_entropy_backward(const CrossEntropyProblem& problem);

}  // namespace espalier
