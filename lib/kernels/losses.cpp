#include "lib/kernels/losses.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/kernels/row_loops.h"

namespace espalier {
namespace {

constexpr int64_t kPiece = 4096;  // floats summed at once: the result does not depend on threads

class SquaredError : public Kernel {
 public:
  SquaredError(const Layout& layout, int64_t elements)
      : count_(layout.padded_count()), elements_(elements), sums_(static_cast<size_t>((count_ + kPiece - 1) / kPiece)) {}

  void bind(std::span<void* const> args) override {
    a_ = static_cast<const float*>(args[0]);
    b_ = static_cast<const float*>(args[1]);
    result_ = static_cast<float*>(args[2]);
  }

  void run() override {
    parallel_for(static_cast<int64_t>(sums_.size()), 4, [this](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) sums_[static_cast<size_t>(piece)] = sum(piece);
    });
    double total = 0;
    for (const double s : sums_) total += s;
    *result_ = static_cast<float>(total / static_cast<double>(elements_));
  }

 private:
  double sum(int64_t piece) const {
    const int64_t end = std::min(count_, (piece + 1) * kPiece);
    double lanes[4] = {};
    for (int64_t i = piece * kPiece; i < end; ++i) {
      const double d = static_cast<double>(a_[i]) - static_cast<double>(b_[i]);
      lanes[i & 3] += d * d;
    }
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
  }

  int64_t count_, elements_;
  std::vector<double> sums_;
  const float *a_ = nullptr, *b_ = nullptr;
  float* result_ = nullptr;
};

class SquaredErrorBackward : public Kernel {
 public:
  SquaredErrorBackward(const Layout& layout, int64_t elements) : count_(layout.padded_count()), elements_(elements) {}

  void bind(std::span<void* const> args) override {
    a_ = static_cast<const float*>(args[0]);
    b_ = static_cast<const float*>(args[1]);
    dy_ = static_cast<const float*>(args[2]);
    da_ = static_cast<float*>(args[3]);
  }

  void run() override {
    const float factor = static_cast<float>(2.0 * static_cast<double>(*dy_) / static_cast<double>(elements_));
    parallel_for(count_, kPiece, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) da_[i] = factor * (a_[i] - b_[i]);
    });
  }

 private:
  int64_t count_, elements_;
  const float *a_ = nullptr, *b_ = nullptr, *dy_ = nullptr;
  float* da_ = nullptr;
};

/// What both steps of the distillation loss do with one sample.
class SoftTargets : public Kernel {
 public:
  explicit SoftTargets(const SoftTargetProblem& p) : p_(p), loops_(row_loops()) {}

 protected:
  /// to = softmax(x / T) of one sample, or its logarithm.
  void soften(const float* x, float* to, bool logarithm) const {
    const float share = 1 / p_.temperature;
    for (int64_t i = 0; i < p_.classes * p_.inner; ++i) to[i] = x[i] * share;
    if (p_.inner == 1) return loops_.softmax_run(to, to, p_.classes, logarithm);
    for (int64_t at = 0; at < p_.inner; at += kLaneTile) {
      loops_.softmax_lanes(to + at, to + at, p_.classes, p_.inner, std::min(kLaneTile, p_.inner - at), logarithm);
    }
  }

  double rows() const { return static_cast<double>(p_.batch * p_.inner); }

  SoftTargetProblem p_;
  const RowLoops& loops_;
};

class SoftTargetLoss : public SoftTargets {
 public:
  explicit SoftTargetLoss(const SoftTargetProblem& p) : SoftTargets(p), sums_(static_cast<size_t>(p.batch)) {}

  void bind(std::span<void* const> args) override {
    student_ = static_cast<const float*>(args[0]);
    teacher_ = static_cast<const float*>(args[1]);
    loss_ = static_cast<float*>(args[2]);
    scratch_ = static_cast<float*>(args[3]);
  }

  void run() override {
    parallel_for(p_.batch, 1, [this](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) sums_[static_cast<size_t>(n)] = divergence(n);
    });
    double total = 0;
    for (const double s : sums_) total += s;
    *loss_ = static_cast<float>(static_cast<double>(p_.temperature) * static_cast<double>(p_.temperature) * total / rows());
  }

 private:
  double divergence(int64_t n) {
    const int64_t size = p_.classes * p_.inner;
    float *log_p = scratch_ + 2 * n * size, *log_q = log_p + size;
    soften(student_ + n * size, log_p, true);
    soften(teacher_ + n * size, log_q, true);
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) {
      const double q = std::exp(static_cast<double>(log_q[i]));
      if (q > 0) sum += q * (static_cast<double>(log_q[i]) - static_cast<double>(log_p[i]));
    }
    return sum;
  }

  std::vector<double> sums_;
  const float *student_ = nullptr, *teacher_ = nullptr;
  float *loss_ = nullptr, *scratch_ = nullptr;
};

class SoftTargetBackward : public SoftTargets {
 public:
  using SoftTargets::SoftTargets;

  void bind(std::span<void* const> args) override {
    student_ = static_cast<const float*>(args[0]);
    teacher_ = static_cast<const float*>(args[1]);
    dy_ = static_cast<const float*>(args[2]);
    dx_ = static_cast<float*>(args[3]);
    scratch_ = static_cast<float*>(args[4]);
  }

  void run() override {
    const float factor = static_cast<float>(static_cast<double>(p_.temperature) * static_cast<double>(*dy_) / rows());
    parallel_for(p_.batch, 1, [&](int64_t begin, int64_t end) {
      const int64_t size = p_.classes * p_.inner;
      for (int64_t n = begin; n < end; ++n) {
        float *p = dx_ + n * size, *q = scratch_ + n * size;
        soften(student_ + n * size, p, false);
        soften(teacher_ + n * size, q, false);
        for (int64_t i = 0; i < size; ++i) p[i] = factor * (p[i] - q[i]);
      }
    });
  }

 private:
  const float *student_ = nullptr, *teacher_ = nullptr, *dy_ = nullptr;
  float *dx_ = nullptr, *scratch_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> squared_error(const Layout& layout, int64_t elements) { return std::make_unique<SquaredError>(layout, elements); }
std::unique_ptr<Kernel> squared_error_backward(const Layout& layout, int64_t elements) {
  return std::make_unique<SquaredErrorBackward>(layout, elements);
}
std::unique_ptr<Kernel> soft_target_loss(const SoftTargetProblem& p) { return std::make_unique<SoftTargetLoss>(p); }
std::unique_ptr<Kernel> soft_target_backward(const SoftTargetProblem& p) { return std::make_unique<SoftTargetBackward>(p); }

}  // namespace espalier
