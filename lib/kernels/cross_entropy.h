#pragma once

#include <optional>

#include "lib/kernels/kernel.h"

namespace espalier {

/// Cross-entropy of softmax(scores) in nats. scores: float [N, C, inner], plain; labels: int64 or int32 [N, inner].
/// A position weighs weights[label], or 0 where its label is ignored.
struct CrossEntropyProblem {
  enum class Reduction : uint8_t { none, sum, mean };  ///< mean: by the sum of the weights

  int64_t batch = 0, classes = 0, inner = 1;
  DataType label_type = DataType::int64;
  Reduction reduction = Reduction::mean;
  std::optional<int64_t> ignore_index;  ///< positions with this label count nowhere
  bool weights = false;                 ///< float [C]; 1 for every class otherwise
  bool logarithms = false;              ///< the scores are logarithms of probabilities already (negative log likelihood)
  bool log_prob = false;                ///< forward: the logarithms of the probabilities are wanted too

  int64_t positions() const { return batch * inner; }
};

/// Arguments: scores, labels, [weights], loss (one float, or one a position), [log_prob, as scores].
/// run() throws Error(bad_data) for a label out of [0, C) that is not ignored.
std::unique_ptr<Kernel> cross_entropy(const CrossEntropyProblem& problem);
/// Arguments: [scores, not of logarithms], labels, [weights], dy (one float, or one a position), dscores.
std::unique_ptr<Kernel> cross_entropy_backward(const CrossEntropyProblem& problem);

}  // namespace espalier
