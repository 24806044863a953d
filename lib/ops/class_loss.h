#pragma once

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"

namespace espalier {

/// Negative log likelihood as ONNX defines it. Classes on axis 1 of [N, C, d...], labels [N, d...], optional weights [C].
/// A position weighs weights[label], or 0 where the label is ignore_index.
struct ClassLoss {
  int64_t n, classes, inner;
  std::vector<int64_t> labels;  ///< [N, d...]
  std::vector<double> weights;  ///< by position; 0: ignored
  double total_weight = 0;
  enum class Reduction { none, sum, mean } reduction;

  /// Reads input `labels_at` and `labels_at + 1` (weights). Fails for a label outside [0, C) that is not ignored.
  ClassLoss(const EvaluateContext& context, size_t labels_at);

  int64_t positions() const { return n * inner; }
  /// Index of class c at a position in a tensor [N, C, d...].
  int64_t at(int64_t position, int64_t c) const { return (position / inner * classes + c) * inner + position % inner; }
  /// What a position's loss is multiplied by in the result.
  double factor(int64_t position) const;
  /// The loss, and for its gradient: dy of each position.
  Tensor reduce(const Tensor& log_prob, DataType type) const;
  std::vector<double> position_grads(const Tensor& dy) const;
};

/// log(softmax(scores)) along axis 1, in double.
Tensor log_softmax_of_scores(const Tensor& scores);

/// Output shape and validation of a loss over classes: [] or, without reduction, the labels' shape.
void infer_class_loss(InferContext& context);

/// The fast steps on plain float scores: (scores, labels, weights) -> loss (and log_prob), and (scores, labels, weights, dy) ->
/// dscores. `logarithms`: the scores are logarithms of probabilities.
bool lower_class_loss(LowerContext& context, bool logarithms);
bool lower_class_loss_grad(LowerContext& context, bool logarithms);

}  // namespace espalier
