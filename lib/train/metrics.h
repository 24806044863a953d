#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "lib/tensor/shape.h"

namespace espalier {

/// What a model does on some data. A figure that was not measured is NaN.
struct Metrics {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  int64_t samples = 0;
  double loss = kNone;       ///< mean over samples: cross-entropy in nats, mse, or KL divergence from the teacher
  double top1 = kNone;       ///< share of samples whose largest score is the label's
  double mse = kNone;        ///< mean squared error over all elements
  double agreement = kNone;  ///< share of samples whose largest score is the teacher's

  /// Better by top1 (loss decides between equals), else by mse, else by loss. Anything is better than NaN.
  bool better_than(const Metrics& other) const;
};

/// Adds up batches. Scores are [N, C] or [N, C, d...]; with d, each position counts as a sample.
class MetricSum {
 public:
  /// Cross-entropy of softmax(scores), and top1. Labels [N, d...] in [0, C), or `ignored`.
  void add_labels(std::span<const float> scores, const Dims& dims, std::span<const int64_t> labels, int64_t ignored = -1);
  /// KL(softmax(teacher) || softmax(scores)), and agreement.
  void add_teacher(std::span<const float> scores, const Dims& dims, std::span<const float> teacher);
  /// Squared error of values and targets.
  void add_values(std::span<const float> values, int64_t samples, std::span<const float> targets);

  Metrics mean() const;

 private:
  double loss_ = 0, squares_ = 0;
  int64_t samples_ = 0, counted_ = 0, right_ = 0, agreed_ = 0, elements_ = 0;
  bool labels_ = false, teacher_ = false, values_ = false;
};

}  // namespace espalier
