#include "lib/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/row_loops.h"

namespace espalier {
namespace {

using Reduction = CrossEntropyProblem::Reduction;

/// Positions side by side, up to kLaneTile of one sample.
struct Tile {
  int64_t position, width, offset;  ///< offset of the first one's first class
};

class CrossEntropy : public Kernel {
 public:
  explicit CrossEntropy(const CrossEntropyProblem& p)
      : p_(p), tiles_((p.inner + kLaneTile - 1) / kLaneTile), weight_of_(static_cast<size_t>(p.positions())), loops_(row_loops()) {}

 protected:
  /// Checks all labels. Returns what the results are divided by.
  double weigh() {
    double total = 0;
    for (int64_t i = 0; i < p_.positions(); ++i) {
      const int64_t label = label_at(i);
      const bool ignored = p_.ignore_index && label == *p_.ignore_index;
      if (!ignored && (label < 0 || label >= p_.classes)) {
        throw Error(ErrorKind::bad_data, "label " + std::to_string(label) + " at position " + std::to_string(i) +
                                             " is not in [0, " + std::to_string(p_.classes) + ")");
      }
      const float weight = ignored ? 0.0f : weights_ ? weights_[label] : 1.0f;
      weight_of_[static_cast<size_t>(i)] = weight;
      total += static_cast<double>(weight);
    }
    return p_.reduction == Reduction::mean ? total : 1.0;
  }

  template <class Body>
  void for_each_tile(Body&& body) const {
    parallel_for(p_.batch * tiles_, p_.classes < 512 ? 16 : 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / tiles_, lane = i % tiles_ * kLaneTile;
        body(Tile{n * p_.inner + lane, std::min(kLaneTile, p_.inner - lane), n * p_.classes * p_.inner + lane});
      }
    });
  }

  int64_t label_at(int64_t position) const {
    return p_.label_type == DataType::int32 ? static_cast<const int32_t*>(labels_)[position]
                                            : static_cast<const int64_t*>(labels_)[position];
  }
  float weight(int64_t position) const { return weight_of_[static_cast<size_t>(position)]; }

  void softmax(const Tile& t, const float* x, float* y, bool logarithm) const {
    if (p_.inner == 1) loops_.softmax_run(x + t.offset, y + t.offset, p_.classes, logarithm);
    else loops_.softmax_lanes(x + t.offset, y + t.offset, p_.classes, p_.inner, t.width, logarithm);
  }

  CrossEntropyProblem p_;
  int64_t tiles_;
  std::vector<float> weight_of_;
  const RowLoops& loops_;
  const void* labels_ = nullptr;
  const float* weights_ = nullptr;
};

class Forward : public CrossEntropy {
 public:
  explicit Forward(const CrossEntropyProblem& p) : CrossEntropy(p), losses_(static_cast<size_t>(p.positions())) {}

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    scores_ = static_cast<const float*>(args[next++]);
    labels_ = args[next++];
    if (p_.weights) weights_ = static_cast<const float*>(args[next++]);
    loss_ = static_cast<float*>(args[next++]);
    if (p_.log_prob) log_prob_ = static_cast<float*>(args[next]);
  }

  void run() override {
    const double divisor = weigh();
    for_each_tile([this](const Tile& t) { tile(t); });
    if (p_.reduction == Reduction::none) {
      std::transform(losses_.begin(), losses_.end(), loss_, [](double v) { return static_cast<float>(v); });
      return;
    }
    double total = 0;
    for (const double v : losses_) total += v;
    *loss_ = static_cast<float>(total / divisor);
  }

 private:
  void tile(const Tile& t) {
    double normalizer[kLaneTile] = {};
    if (!p_.logarithms) normalize(t, normalizer);
    if (p_.log_prob) softmax(t, scores_, log_prob_, true);
    for (int64_t l = 0; l < t.width; ++l) {
      const float w = weight(t.position + l);
      double& loss = losses_[static_cast<size_t>(t.position + l)] = 0;
      if (w == 0) continue;
      const double score = static_cast<double>(scores_[t.offset + l + label_at(t.position + l) * p_.inner]);
      loss = static_cast<double>(w) * (normalizer[l] - score);
    }
  }

  /// The logarithm of the sum of exp(score), by lane.
  void normalize(const Tile& t, double* result) const {
    double largest[kLaneTile], sum[kLaneTile] = {};
    float top[kLaneTile];
    const float* x = scores_ + t.offset;
    std::fill_n(largest, t.width, -std::numeric_limits<double>::infinity());
    fold(ReduceKind::max, t, x, largest, top);
    for (int64_t l = 0; l < t.width; ++l) top[l] = static_cast<float>(largest[l]);
    fold(ReduceKind::exp_sum, t, x, sum, top);
    for (int64_t l = 0; l < t.width; ++l) result[l] = std::log(sum[l]) + largest[l];
  }

  void fold(ReduceKind kind, const Tile& t, const float* x, double* folded, const float* top) const {
    if (p_.inner == 1) {
      folded[0] = loops_.reduce_run(kind, x, p_.classes, folded[0], kind == ReduceKind::exp_sum ? top[0] : 0.0f);
      return;
    }
    for (int64_t k = 0; k < p_.classes; ++k) loops_.reduce_lanes(kind, x + k * p_.inner, t.width, folded, top);
  }

  std::vector<double> losses_;
  const float* scores_ = nullptr;
  float *loss_ = nullptr, *log_prob_ = nullptr;
};

class Backward : public CrossEntropy {
 public:
  using CrossEntropy::CrossEntropy;

  void bind(std::span<void* const> args) override {
    size_t next = 0;
    if (!p_.logarithms) scores_ = static_cast<const float*>(args[next++]);
    labels_ = args[next++];
    if (p_.weights) weights_ = static_cast<const float*>(args[next++]);
    dy_ = static_cast<const float*>(args[next++]);
    dx_ = static_cast<float*>(args[next]);
  }

  void run() override {
    share_ = 1 / weigh();
    for_each_tile([this](const Tile& t) { tile(t); });
  }

 private:
  void tile(const Tile& t) {
    float factor[kLaneTile];
    for (int64_t l = 0; l < t.width; ++l) {
      const float w = weight(t.position + l), dy = dy_[p_.reduction == Reduction::none ? t.position + l : 0];
      factor[l] = w == 0 ? 0.0f : static_cast<float>(share_ * static_cast<double>(w) * static_cast<double>(dy));
    }
    if (!p_.logarithms) softmax(t, scores_, dx_, false);
    for (int64_t k = 0; k < p_.classes; ++k) {
      float* dx = dx_ + t.offset + k * p_.inner;
      for (int64_t l = 0; l < t.width; ++l) dx[l] = p_.logarithms || factor[l] == 0 ? 0.0f : dx[l] * factor[l];
    }
    for (int64_t l = 0; l < t.width; ++l) {
      if (factor[l] != 0) dx_[t.offset + l + label_at(t.position + l) * p_.inner] -= factor[l];
    }
  }

  double share_ = 1;
  const float *scores_ = nullptr, *dy_ = nullptr;
  float* dx_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> cross_entropy(const CrossEntropyProblem& p) { return std::make_unique<Forward>(p); }
std::unique_ptr<Kernel> cross_entropy_backward(const CrossEntropyProblem& p) { return std::make_unique<Backward>(p); }

}  // namespace espalier
