#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace espalier {

/// A term of a training loss.
struct LossTerm {
  enum class Kind {
    cross_entropy,  ///< SoftmaxCrossEntropyLoss of the logits and int64 labels, mean, in nats
    mse,            ///< mean squared error of the output and a target of its shape
    distillation,   ///< T^2 KL(softmax(teacher / T) || softmax(logits / T)), mean over the batch (Hinton et al. 2015)
  };
  Kind kind = Kind::cross_entropy;
  float weight = 1;
  float temperature = 1;                 ///< of distillation
  std::optional<int64_t> ignore_index = {};   ///< of cross-entropy: label that does not count
};

/// The weighted sum of its terms.
struct LossSpec {
  std::vector<LossTerm> terms;
};

struct AddedLoss {
  ValueId loss = kNone;
  std::vector<ValueId> inputs;  ///< by term: the graph input that it compares with
  std::vector<ValueId> terms;   ///< by term: its unweighted value, []
};

/// Appends the loss to the graph and its inputs to the graph's: `labels` int64 [N] (or [N, d...] for logits [N, C, d...]
/// where some d is not 1), `target` of the output's shape and type, `teacher` of the logits' shape and type; sizes that are
/// not known (the batch) stay symbolic. logits: [N, C, d...], see find_logits; output: what mse compares.
/// Throws Error(usage) for no terms, a weight that is not finite, or a temperature that is not above 0, and
/// Error(bad_data) for logits of unknown rank or without a class axis.
AddedLoss add_loss(Graph& graph, ValueId logits, ValueId output, const LossSpec& spec);

/// The same where logits and output are one.
inline AddedLoss add_loss(Graph& graph, ValueId logits, const LossSpec& spec) { return add_loss(graph, logits, logits, spec); }

}  // namespace espalier
