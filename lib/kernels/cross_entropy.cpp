#include "lib/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

class CrossEntropy : public Kernel {
 public:
  CrossEntropy(const CrossEntropyProblem& problem, bool backward) : p_(problem), backward_(backward) {}

  void bind(std::span<void* const> args) override {
    scores_ = static_cast<const float*>(args[0]);
    labels_ = args[1];
    if (backward_) dy_ = static_cast<const float*>(args[2]);
    result_ = static_cast<float*>(args.back());
  }

  void run() override {
    double total = 0;
    int64_t counted = 0;
    for (int64_t i = 0; i < p_.batch * p_.inner; ++i) {
      if (label(i) < 0) continue;
      ++counted;
      if (!backward_) total += loss(i);
    }
    const double share = p_.mean ? 1.0 / static_cast<double>(counted) : 1.0;
    if (!backward_) {
      *result_ = static_cast<float>(total * share);
      return;
    }
    for (int64_t i = 0; i < p_.batch * p_.inner; ++i) gradient(i, share * *dy_);
  }

 private:
  /// -1 where the position is ignored.
  int64_t label(int64_t position) const {
    const int64_t value = p_.label_type == DataType::int32 ? static_cast<const int32_t*>(labels_)[position]
                                                           : static_cast<const int64_t*>(labels_)[position];
    if (p_.ignore_index && value == *p_.ignore_index) return -1;
    if (value < 0 || value >= p_.classes) {
      throw Error(ErrorKind::bad_data, "label " + std::to_string(value) + " at position " + std::to_string(position) +
                                           " is not in [0, " + std::to_string(p_.classes) + ")");
    }
    return value;
  }

  const float* row(int64_t position) const {
    return scores_ + position / p_.inner * p_.classes * p_.inner + position % p_.inner;
  }

  /// The largest score and the sum of exp(score - largest).
  std::pair<double, double> normalizer(const float* x) const {
    float largest = x[0];
    for (int64_t k = 1; k < p_.classes; ++k) largest = std::max(largest, x[k * p_.inner]);
    double sum = 0;
    for (int64_t k = 0; k < p_.classes; ++k) sum += std::exp(static_cast<double>(x[k * p_.inner]) - largest);
    return {largest, sum};
  }

  double loss(int64_t position) const {
    const float* x = row(position);
    const auto [largest, sum] = normalizer(x);
    return std::log(sum) + largest - x[label(position) * p_.inner];
  }

  void gradient(int64_t position, double factor) {
    const float* x = row(position);
    float* dx = result_ + (x - scores_);
    const int64_t target = label(position);
    const auto [largest, sum] = normalizer(x);
    for (int64_t k = 0; k < p_.classes; ++k) {
      const double probability = std::exp(static_cast<double>(x[k * p_.inner]) - largest) / sum;
      dx[k * p_.inner] = target < 0 ? 0.0f : static_cast<float>(factor * (probability - (k == target)));
    }
  }

  CrossEntropyProblem p_;
  bool backward_;
  const float *scores_ = nullptr, *dy_ = nullptr;
  const void* labels_ = nullptr;
  float* result_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> cross_entropy(const CrossEntropyProblem& p) { return std::make_unique<CrossEntropy>(p, false); }
std::unique_ptr<Kernel> cross_entropy_backward(const CrossEntropyProblem& p) {
  return std::make_unique<CrossEntropy>(p, true);
}

}  // namespace espalier
