#include "lib/train/metrics.h"

#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

/// Scores seen as [samples][classes][positions].
struct Classes {
  int64_t samples, classes, positions;
  explicit Classes(const Dims& dims) : samples(dims[0]), classes(dims[1]), positions(1) {
    for (size_t i = 2; i < dims.size(); ++i) positions *= dims[i];
  }
  size_t at(int64_t n, int64_t c, int64_t p) const { return static_cast<size_t>((n * classes + c) * positions + p); }
};

struct Row {
  int64_t best;
  double log_sum;  ///< log of the sum of exp of the scores
};

Row look_at(std::span<const float> scores, const Classes& k, int64_t n, int64_t p) {
  int64_t best = 0;
  for (int64_t c = 1; c < k.classes; ++c) {
    if (scores[k.at(n, c, p)] > scores[k.at(n, best, p)]) best = c;
  }
  const double top = scores[k.at(n, best, p)];
  double sum = 0;
  for (int64_t c = 0; c < k.classes; ++c) sum += std::exp(scores[k.at(n, c, p)] - top);
  return {best, top + std::log(sum)};
}

}  // namespace

bool Metrics::better_than(const Metrics& other) const {
  const auto decide = [](double mine, double theirs) {  // 1: higher, -1: lower, 0: equal or none
    if (std::isnan(mine) || std::isnan(theirs)) return std::isnan(mine) == std::isnan(theirs) ? 0 : std::isnan(theirs) ? 1 : -1;
    return mine > theirs ? 1 : mine < theirs ? -1 : 0;
  };
  if (const int by_top1 = decide(top1, other.top1)) return by_top1 > 0;
  if (std::isnan(other.mse) != std::isnan(mse)) return std::isnan(other.mse);
  if (const int by_mse = decide(mse, other.mse)) return by_mse < 0;
  if (std::isnan(other.loss) != std::isnan(loss)) return std::isnan(other.loss);
  return decide(loss, other.loss) < 0;
}

void MetricSum::add_labels(std::span<const float> scores, const Dims& dims, std::span<const int64_t> labels, int64_t ignored) {
  const Classes k(dims);
  check(static_cast<int64_t>(labels.size()) == k.samples * k.positions, "a label for each sample");
  labels_ = true;
  samples_ += k.samples;
  for (int64_t n = 0; n < k.samples; ++n) {
    for (int64_t p = 0; p < k.positions; ++p) {
      const int64_t label = labels[static_cast<size_t>(n * k.positions + p)];
      if (label == ignored) continue;
      const Row row = look_at(scores, k, n, p);
      ++counted_;
      right_ += row.best == label;
      loss_ += row.log_sum - scores[k.at(n, label, p)];
    }
  }
}

void MetricSum::add_teacher(std::span<const float> scores, const Dims& dims, std::span<const float> teacher) {
  const Classes k(dims);
  check(teacher.size() == scores.size(), "the teacher has as many scores");
  if (!labels_) samples_ += k.samples;
  teacher_ = true;
  for (int64_t n = 0; n < k.samples; ++n) {
    for (int64_t p = 0; p < k.positions; ++p) {
      const Row row = look_at(scores, k, n, p), wanted = look_at(teacher, k, n, p);
      if (!labels_) ++counted_;
      agreed_ += row.best == wanted.best;
      if (labels_) continue;
      for (int64_t c = 0; c < k.classes; ++c) {
        const double log_q = teacher[k.at(n, c, p)] - wanted.log_sum;
        loss_ += std::exp(log_q) * (log_q - (scores[k.at(n, c, p)] - row.log_sum));
      }
    }
  }
}

void MetricSum::add_values(std::span<const float> values, int64_t samples, std::span<const float> targets) {
  check(values.size() == targets.size(), "a target for each value");
  values_ = true;
  samples_ += samples;
  elements_ += static_cast<int64_t>(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double error = static_cast<double>(values[i]) - targets[i];
    squares_ += error * error;
  }
}

Metrics MetricSum::mean() const {
  Metrics m;
  m.samples = samples_;
  const auto count = static_cast<double>(counted_);
  if (labels_ && counted_ > 0) m.top1 = static_cast<double>(right_) / count;
  if (teacher_ && counted_ > 0) m.agreement = static_cast<double>(agreed_) / count;
  if ((labels_ || teacher_) && counted_ > 0) m.loss = loss_ / count;
  if (values_ && elements_ > 0) m.mse = m.loss = squares_ / static_cast<double>(elements_);
  return m;
}

}  // namespace espalier
