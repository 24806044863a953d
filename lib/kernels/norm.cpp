#include "lib/kernels/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/row_loops.h"

namespace espalier {
namespace {

constexpr int64_t kGrain = 4096;  // elements worth a thread

struct Statistics {
  float mean, inverse;
};

/// What both directions share: where sets lie, and their moments.
class Norm : public Kernel {
 protected:
  explicit Norm(const NormProblem& problem) : p_(problem), loops_(row_loops()) {
    check(!p_.by_element || p_.segments == 1, "parameters by element for sets of one segment");
  }

  int64_t start(int64_t set) const { return set / p_.per_sample * p_.sample_stride + set % p_.per_sample * p_.set_stride; }
  int64_t set_size() const { return p_.segments * p_.length; }
  int64_t channel(int64_t set, int64_t segment) const { return set % p_.per_sample * p_.segments + segment; }

  /// Sums of what lies beyond the first element: a set of equal ones has exactly their mean, and no variance.
  Statistics statistics(const float* x) const {
    const auto count = static_cast<double>(set_size());
    float mean = 0;
    if (p_.subtract_mean) mean = static_cast<float>(static_cast<double>(x[0]) + total(x, x[0], 1) / count);
    const double variance = total(x, mean, 2) / count;
    return {mean, static_cast<float>(1 / std::sqrt(variance + static_cast<double>(p_.epsilon)))};
  }

  template <class Body>
  void for_each_set(Body body) {
    parallel_for(p_.sets, 1 + kGrain / set_size(), [&](int64_t begin, int64_t end) {
      for (int64_t set = begin; set < end; ++set) body(set);
    });
  }

  NormProblem p_;
  const RowLoops& loops_;

 private:
  double total(const float* x, float pivot, int power) const {
    double sum = 0;
    for (int64_t s = 0; s < p_.segments; ++s) sum += loops_.moment(x + s * p_.segment_stride, p_.length, pivot, power);
    return sum;
  }
};

class Normalize : public Norm {
 public:
  Normalize(const NormProblem& problem, bool mean, bool inverse) : Norm(problem), wants_mean_(mean), wants_inverse_(inverse) {}

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    const auto take = [&](bool present) { return present ? static_cast<float*>(args[next++]) : nullptr; };
    x_ = take(true);
    scale_ = take(p_.scale);
    bias_ = take(p_.bias);
    y_ = take(true);
    mean_ = take(wants_mean_);
    inverse_ = take(wants_inverse_);
  }

  void run() override {
    for_each_set([this](int64_t set) { normalize_set(set); });
  }

 private:
  void normalize_set(int64_t set) {
    const int64_t from = start(set);
    const Statistics s = statistics(x_ + from);
    if (mean_) mean_[set] = s.mean;
    if (inverse_) inverse_[set] = s.inverse;
    if (p_.by_element) return loops_.normalize(x_ + from, y_ + from, p_.length, s.mean, s.inverse, scale_, bias_);
    for (int64_t k = 0; k < p_.segments; ++k) {
      const int64_t at = from + k * p_.segment_stride, c = channel(set, k);
      const float a = s.inverse * (scale_ ? scale_[c] : 1.0f);
      loops_.affine(x_ + at, y_ + at, p_.length, s.mean, a, bias_ ? bias_[c] : 0.0f);
    }
  }

  bool wants_mean_, wants_inverse_;
  const float *x_ = nullptr, *scale_ = nullptr, *bias_ = nullptr;
  float *y_ = nullptr, *mean_ = nullptr, *inverse_ = nullptr;
};

class NormalizeBackward : public Norm {
 public:
  NormalizeBackward(const NormProblem& problem, bool dx, bool dscale, bool dbias)
      : Norm(problem), wants_dx_(dx), wants_dscale_(dscale), wants_dbias_(dbias), statistics_(static_cast<size_t>(p_.sets)) {
    if (!p_.by_element) sums_.resize(static_cast<size_t>(2 * p_.sets * p_.segments));
  }

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    const auto take = [&](bool present) { return present ? static_cast<float*>(args[next++]) : nullptr; };
    x_ = take(true);
    scale_ = take(p_.scale);
    dy_ = take(true);
    dx_ = take(wants_dx_);
    dscale_ = take(wants_dscale_);
    dbias_ = take(wants_dbias_);
  }

  void run() override {
    for_each_set([this](int64_t set) { backward(set); });
    if (!dscale_ && !dbias_) return;
    if (p_.by_element) element_parameters();
    else channel_parameters();
  }

 private:
  void backward(int64_t set) {
    const int64_t from = start(set);
    const Statistics s = statistics_[set] = statistics(x_ + from);
    double sum = 0, dot = 0;  // of g and of g (x - mean), g = dy scale
    if (p_.by_element) {
      if (!dx_) return;
      loops_.gradient_sums(x_ + from, dy_ + from, scale_, p_.length, s.mean, &sum, &dot);
    } else {
      for (int64_t k = 0; k < p_.segments; ++k) {
        const int64_t at = from + k * p_.segment_stride;
        double* own = &sums_[2 * (set * p_.segments + k)];
        own[0] = own[1] = 0;
        loops_.gradient_sums(x_ + at, dy_ + at, nullptr, p_.length, s.mean, own, own + 1);
        const double scale = scale_ ? static_cast<double>(scale_[channel(set, k)]) : 1.0;
        sum += scale * own[0];
        dot += scale * own[1];
      }
    }
    if (dx_) input_gradient(set, from, s, sum, dot);
  }

  /// dx = inverse (g - mean(g) - x^ mean(g x^)), x^ the normalised x.
  void input_gradient(int64_t set, int64_t from, const Statistics& s, double sum, double dot) {
    const auto count = static_cast<double>(set_size()), inverse = static_cast<double>(s.inverse);
    const auto along = static_cast<float>(-inverse * inverse * inverse * dot / count);
    const auto across = p_.subtract_mean ? static_cast<float>(-inverse * sum / count) : 0.0f;
    if (p_.by_element) {
      return loops_.gradient(x_ + from, dy_ + from, scale_, dx_ + from, p_.length, s.mean, s.inverse, along, across);
    }
    for (int64_t k = 0; k < p_.segments; ++k) {
      const int64_t at = from + k * p_.segment_stride;
      const float a = s.inverse * (scale_ ? scale_[channel(set, k)] : 1.0f);
      loops_.gradient(x_ + at, dy_ + at, nullptr, dx_ + at, p_.length, s.mean, a, along, across);
    }
  }

  /// Threads share the columns, so that sums need no second buffer and have one order.
  void element_parameters() {
    parallel_for(p_.length, 64, [this](int64_t begin, int64_t end) {
      const int64_t n = end - begin;
      if (dscale_) std::fill_n(dscale_ + begin, n, 0.0f);
      if (dbias_) std::fill_n(dbias_ + begin, n, 0.0f);
      for (int64_t set = 0; set < p_.sets; ++set) {
        const int64_t at = start(set) + begin;
        loops_.parameter_gradient(x_ + at, dy_ + at, n, statistics_[set].mean, statistics_[set].inverse,
                                  dscale_ ? dscale_ + begin : nullptr, dbias_ ? dbias_ + begin : nullptr);
      }
    });
  }

  void channel_parameters() {
    for (int64_t c = 0; c < p_.parameters(); ++c) {
      double scale = 0, bias = 0;
      for (int64_t set = c / p_.segments; set < p_.sets; set += p_.per_sample) {
        const double* own = &sums_[2 * (set * p_.segments + c % p_.segments)];
        bias += own[0];
        scale += own[1] * static_cast<double>(statistics_[set].inverse);
      }
      if (dscale_) dscale_[c] = static_cast<float>(scale);
      if (dbias_) dbias_[c] = static_cast<float>(bias);
    }
  }

  bool wants_dx_, wants_dscale_, wants_dbias_;
  std::vector<Statistics> statistics_;
  std::vector<double> sums_;  // by set and segment: of dy and of dy (x - mean)
  const float *x_ = nullptr, *scale_ = nullptr, *dy_ = nullptr;
  float *dx_ = nullptr, *dscale_ = nullptr, *dbias_ = nullptr;
};

}  // namespace

NormProblem NormProblem::rows(int64_t sets, int64_t length) { return {sets, 1, length, sets, 0, length, 0}; }

NormProblem NormProblem::channels(int64_t samples, int64_t groups, int64_t together, int64_t plane) {
  const int64_t set = together * plane;
  return {samples * groups, together, plane, groups, groups * set, set, plane};
}

std::unique_ptr<Kernel> normalize(const NormProblem& p, bool mean, bool inverse) {
  return std::make_unique<Normalize>(p, mean, inverse);
}

std::unique_ptr<Kernel> normalize_backward(const NormProblem& p, bool dx, bool dscale, bool dbias) {
  return std::make_unique<NormalizeBackward>(p, dx, dscale, dbias);
}

}  // namespace espalier
