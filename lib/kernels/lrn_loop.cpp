#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/kernels/lrn.h"

namespace espalier {
namespace {

/// Plain [batch, channels, plane]; a tile is a stretch of neighbouring positions, for all channels.
class LrnLoop : public Kernel {
 public:
  LrnLoop(const LrnProblem& p, int64_t batch, int64_t channels, int64_t plane)
      : p_(p), batch_(batch), channels_(channels), plane_(plane), below_((p.size - 1) / 2), above_(p.size / 2) {}

 protected:
  static constexpr int64_t kTile = 64;

  template <class Body>
  void for_each_tile(Body&& body) const {
    const int64_t tiles = (plane_ + kTile - 1) / kTile;
    parallel_for(batch_ * tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t lane = i % tiles * kTile;
        body(i / tiles * channels_ * plane_ + lane, std::min(kTile, plane_ - lane));
      }
    });
  }

  /// base^-beta of a row of bases.
  void negative_power(const float* base, float* to, int64_t n) const {
    if (p_.beta == 0.75f) {
      for (int64_t i = 0; i < n; ++i) to[i] = 1 / (std::sqrt(base[i]) * std::sqrt(std::sqrt(base[i])));
    } else if (p_.beta == 0.5f) {
      for (int64_t i = 0; i < n; ++i) to[i] = 1 / std::sqrt(base[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) to[i] = std::pow(base[i], -p_.beta);
    }
  }

  /// What x is divided by, before its power: of channel k at n positions.
  void find_base(const float* x, int64_t first, int64_t k, int64_t n, float* base) const {
    const float share = p_.alpha / static_cast<float>(p_.size);
    float squares[kTile] = {};
    for (int64_t j = std::max<int64_t>(0, k - below_); j <= std::min(channels_ - 1, k + above_); ++j) {
      const float* row = x + first + j * plane_;
      for (int64_t i = 0; i < n; ++i) squares[i] += row[i] * row[i];
    }
    for (int64_t i = 0; i < n; ++i) base[i] = p_.bias + share * squares[i];
  }

  LrnProblem p_;
  int64_t batch_, channels_, plane_, below_, above_;
};

class Forward : public LrnLoop {
 public:
  using LrnLoop::LrnLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }

  void run() override {
    for_each_tile([this](int64_t first, int64_t n) {
      float base[kTile], power[kTile];
      for (int64_t k = 0; k < channels_; ++k) {
        find_base(x_, first, k, n, base);
        negative_power(base, power, n);
        const int64_t at = first + k * plane_;
        for (int64_t i = 0; i < n; ++i) y_[at + i] = x_[at + i] * power[i];
      }
    });
  }

 private:
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

/// With d the base: dy d^-beta - 2 alpha beta / size x (sum of dy x d^(-beta-1) over the channels that count this one).
class Backward : public LrnLoop {
 public:
  using LrnLoop::LrnLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    dy_ = static_cast<const float*>(args[1]);
    dx_ = static_cast<float*>(args[2]);
    share_ = static_cast<float*>(args[3]);
  }

  void run() override {
    const float factor = 2 * p_.alpha * p_.beta / static_cast<float>(p_.size);
    for_each_tile([&](int64_t first, int64_t n) {
      float base[kTile], power[kTile];
      for (int64_t k = 0; k < channels_; ++k) {
        find_base(x_, first, k, n, base);
        negative_power(base, power, n);
        const int64_t at = first + k * plane_;
        for (int64_t i = 0; i < n; ++i) {
          dx_[at + i] = dy_[at + i] * power[i];
          share_[at + i] = dx_[at + i] * x_[at + i] / base[i];
        }
      }
      for (int64_t k = 0; k < channels_; ++k) {
        float sum[kTile] = {};
        for (int64_t j = std::max<int64_t>(0, k - above_); j <= std::min(channels_ - 1, k + below_); ++j) {
          for (int64_t i = 0; i < n; ++i) sum[i] += share_[first + j * plane_ + i];
        }
        const int64_t at = first + k * plane_;
        for (int64_t i = 0; i < n; ++i) dx_[at + i] -= factor * x_[at + i] * sum[i];
      }
    });
  }

 private:
  const float *x_ = nullptr, *dy_ = nullptr;
  float *dx_ = nullptr, *share_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> lrn_loop(const LrnProblem& p, int64_t batch, int64_t channels, int64_t plane) {
  return std::make_unique<Forward>(p, batch, channels, plane);
}
std::unique_ptr<Kernel> lrn_backward(const LrnProblem& p, int64_t batch, int64_t channels, int64_t plane) {
  return std::make_unique<Backward>(p, batch, channels, plane);
}

}  // namespace espalier
