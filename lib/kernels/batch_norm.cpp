#include "lib/kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

/// What forward and backward share: the rows of the tensor and sums over them that do not depend on scheduling.
class BatchNorm : public Kernel {
 public:
  explicit BatchNorm(const BatchNormProblem& problem)
      : problem_(problem), c_(*problem.layout.channels()), padded_(problem.padded_channels()), loops_(vector_loops()) {
    bounds_ = problem_.bounds ? &*problem_.bounds : nullptr;
  }

 protected:
  int64_t channels() const { return c_.channels; }
  double count() const { return static_cast<double>(c_.batch) * static_cast<double>(c_.inner); }
  int64_t rows() const { return c_.batch * c_.blocks; }
  int64_t row_size() const { return c_.inner * c_.block; }
  int64_t channel_of(int64_t row) const { return row % c_.blocks * c_.block; }
  Row row() const { return {c_.inner, c_.block}; }

  /// Calls body(row, first, second) for all rows; first and second are zeroed sums of the row's piece, reduced over the
  /// pieces into piece 0 afterwards. A piece is fixed by the number of threads, so the sums are too.
  template <class Body>
  void sum_rows(double* sums, Body&& body) {
    const int64_t pieces = std::min<int64_t>(thread_count(), rows());
    parallel_for(pieces, 1, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; ++p) {
        double* first = sums + p * 2 * padded_;
        std::fill_n(first, 2 * padded_, 0.0);
        for (int64_t r = rows() * p / pieces; r < rows() * (p + 1) / pieces; ++r) {
          body(r, first + channel_of(r), first + padded_ + channel_of(r));
        }
      }
    });
    for (int64_t p = 1; p < pieces; ++p) {
      for (int64_t i = 0; i < 2 * padded_; ++i) sums[i] += sums[p * 2 * padded_ + i];
    }
  }

  template <class Body>
  void for_rows(Body&& body) {
    parallel_for(rows(), 1, [&](int64_t from, int64_t to) {
      for (int64_t r = from; r < to; ++r) body(r);
    });
  }

  BatchNormProblem problem_;
  Layout::Channels c_;
  int64_t padded_;
  const VectorLoops& loops_;
  const Bounds* bounds_ = nullptr;
};

class Forward : public BatchNorm {
 public:
  using BatchNorm::BatchNorm;

  void bind(std::span<void* const> args) override {
    auto take = [&, i = size_t{0}]() mutable { return static_cast<float*>(args[i++]); };
    x_ = take(), scale_ = take(), bias_ = take(), mean_ = take(), var_ = take();
    if (problem_.residual) residual_ = take();
    y_ = take();
    if (problem_.batch_statistics) running_mean_ = take(), running_var_ = take(), saved_ = take();
    sums_ = reinterpret_cast<double*>(take());
    a_ = reinterpret_cast<float*>(sums_ + 2 * padded_ * std::max(1, thread_count()));
    b_ = a_ + padded_;
  }

  void run() override {
    std::fill_n(a_, 2 * padded_, 0.0f);
    if (problem_.batch_statistics) from_batch();
    else from_given();
    for_rows([&](int64_t r) {
      const int64_t at = r * row_size(), c = channel_of(r);
      loops_.row_affine(x_ + at, residual_ ? residual_ + at : nullptr, y_ + at, row(), a_ + c, b_ + c, bounds_);
    });
  }

 private:
  void from_given() {
    for (int64_t c = 0; c < channels(); ++c) {
      a_[c] = scale_[c] / std::sqrt(var_[c] + problem_.epsilon);
      b_[c] = bias_[c] - mean_[c] * a_[c];
    }
  }

  void from_batch() {
    // Deviations from the channel's first element: no cancellation where the mean is far from zero.
    float* pivot = b_;
    for (int64_t c = 0; c < padded_; ++c) pivot[c] = x_[c / c_.block * row_size() + c % c_.block];
    sum_rows(sums_, [&](int64_t r, double* sum, double* squares) {
      loops_.row_moments(x_ + r * row_size(), row(), pivot + channel_of(r), sum, squares);
    });
    std::fill_n(saved_, 2 * padded_, 0.0f);
    for (int64_t c = 0; c < channels(); ++c) {
      const double shifted = sums_[c] / count();
      const double variance = std::max(0.0, sums_[padded_ + c] / count() - shifted * shifted);
      const auto mean = static_cast<float>(pivot[c] + shifted);
      const auto inverse = static_cast<float>(1.0 / std::sqrt(variance + problem_.epsilon));
      saved_[c] = mean;
      saved_[padded_ + c] = inverse;
      a_[c] = scale_[c] * inverse;
      b_[c] = bias_[c] - mean * a_[c];
      const float keep = problem_.momentum;
      running_mean_[c] = mean_[c] * keep + mean * (1 - keep);
      running_var_[c] = var_[c] * keep + static_cast<float>(variance) * (1 - keep);
    }
    std::fill(b_ + channels(), b_ + padded_, 0.0f);
  }

  const float *x_ = nullptr, *scale_ = nullptr, *bias_ = nullptr, *mean_ = nullptr, *var_ = nullptr,
              *residual_ = nullptr;
  float *y_ = nullptr, *running_mean_ = nullptr, *running_var_ = nullptr, *saved_ = nullptr, *a_ = nullptr,
        *b_ = nullptr;
  double* sums_ = nullptr;
};

class Backward : public BatchNorm {
 public:
  using BatchNorm::BatchNorm;

  void bind(std::span<void* const> args) override {
    auto take = [&, i = size_t{0}]() mutable { return static_cast<float*>(args[i++]); };
    x_ = take(), scale_ = take(), mean_ = take(), var_ = take(), dy_ = take();
    if (bounds_) y_ = take();
    if (problem_.batch_statistics) saved_ = take();
    dx_ = take(), dscale_ = take(), dbias_ = take();
    sums_ = reinterpret_cast<double*>(take());
    a_ = reinterpret_cast<float*>(sums_ + 2 * padded_ * std::max(1, thread_count()));
    b_ = a_ + padded_;
    c0_ = b_ + padded_;
  }

  void run() override {
    float* mean = c0_;
    std::fill_n(a_, 3 * padded_, 0.0f);
    for (int64_t c = 0; c < channels(); ++c) mean[c] = problem_.batch_statistics ? saved_[c] : mean_[c];
    sum_rows(sums_, [&](int64_t r, double* sum, double* dot) {
      const int64_t at = r * row_size();
      loops_.row_gradient_sums(x_ + at, dy_ + at, y_ ? y_ + at : nullptr, row(), mean + channel_of(r), bounds_, sum, dot);
    });
    for (int64_t c = 0; c < channels(); ++c) coefficients(c);
    for_rows([&](int64_t r) {
      const int64_t at = r * row_size(), c = channel_of(r);
      loops_.row_gradient(x_ + at, dy_ + at, y_ ? y_ + at : nullptr, dx_ + at, row(), a_ + c, b_ + c, c0_ + c, bounds_);
    });
  }

 private:
  /// dx = scale / std * (g - mean(g) - xhat * mean(g xhat)), as a g + b x + c0.
  void coefficients(int64_t c) {
    const double inverse = problem_.batch_statistics ? saved_[padded_ + c] : 1.0 / std::sqrt(var_[c] + problem_.epsilon);
    const double mean = problem_.batch_statistics ? saved_[c] : mean_[c];
    const double sum = sums_[c], dot = sums_[padded_ + c];
    dbias_[c] = static_cast<float>(sum);
    dscale_[c] = static_cast<float>(dot * inverse);
    const double a = scale_[c] * inverse;
    const double b = problem_.batch_statistics ? -a * inverse * inverse * dot / count() : 0.0;
    const double shift = problem_.batch_statistics ? -a * sum / count() - b * mean : 0.0;
    a_[c] = static_cast<float>(a);
    b_[c] = static_cast<float>(b);
    c0_[c] = static_cast<float>(shift);
  }

  const float *x_ = nullptr, *scale_ = nullptr, *mean_ = nullptr, *var_ = nullptr, *dy_ = nullptr, *y_ = nullptr,
              *saved_ = nullptr;
  float *dx_ = nullptr, *dscale_ = nullptr, *dbias_ = nullptr, *a_ = nullptr, *b_ = nullptr, *c0_ = nullptr;
  double* sums_ = nullptr;
};

}  // namespace

int64_t BatchNormProblem::padded_channels() const {
  const auto c = layout.channels();
  check(c.has_value(), "a layout with channels for batch normalisation: " + layout.str());
  return c->blocks * c->block;
}

size_t batch_norm_scratch(const BatchNormProblem& problem) {
  const auto padded = static_cast<size_t>(problem.padded_channels());
  return padded * (2 * static_cast<size_t>(thread_count()) * sizeof(double) + 3 * sizeof(float));
}

std::unique_ptr<Kernel> batch_norm_forward(const BatchNormProblem& p) { return std::make_unique<Forward>(p); }
std::unique_ptr<Kernel> batch_norm_backward(const BatchNormProblem& p) { return std::make_unique<Backward>(p); }

}  // namespace espalier
