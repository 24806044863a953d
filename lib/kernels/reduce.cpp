#include "lib/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

/// Neighbouring axes of one fate are one axis; sizes of 1 are dropped.
struct Axis {
  int64_t size, stride;
  bool reduced;
};

std::vector<Axis> merged(const Dims& dims, const std::vector<bool>& reduced) {
  std::vector<Axis> axes;
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] != 1) {
      if (!axes.empty() && axes.back().reduced == reduced[i]) axes.back().size *= dims[i];
      else axes.push_back({dims[i], stride, reduced[i]});
    }
    stride *= dims[i];
  }
  return axes;  // innermost first
}

/// Offset of position `index` in the row-major grid of some axes, innermost first.
int64_t offset_of(const std::vector<Axis>& axes, int64_t index) {
  int64_t offset = 0;
  for (const Axis& axis : axes) {
    offset += index % axis.size * axis.stride;
    index /= axis.size;
  }
  return offset;
}

int64_t count_of(const std::vector<Axis>& axes) {
  int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.size;
  return count;
}

class Reduce : public Kernel {
 public:
  Reduce(ReduceKind kind, ReduceFinish finish, const Dims& dims, const std::vector<bool>& reduced, float scale)
      : kind_(kind), finish_(finish), scale_(scale), loops_(row_loops()) {
    auto axes = merged(dims, reduced);
    if (!axes.empty()) {
      (axes[0].reduced ? run_ : lanes_) = axes[0].size;
      axes.erase(axes.begin());
    }
    for (const Axis& axis : axes) (axis.reduced ? gone_ : kept_).push_back(axis);
    terms_ = count_of(gone_);
  }

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }

  void run() override {
    const int64_t tiles = (lanes_ + kLaneTile - 1) / kLaneTile;
    const int64_t each = std::min(lanes_, kLaneTile) * run_ * terms_;
    parallel_for(count_of(kept_) * tiles, 1 + kGrain / std::max<int64_t>(1, each), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) tile(i / tiles, i % tiles * kLaneTile);
    });
  }

 private:
  static constexpr int64_t kGrain = 4096;

  /// Up to kLaneTile neighbouring results.
  void tile(int64_t kept, int64_t lane) {
    const int64_t width = std::min(kLaneTile, lanes_ - lane);
    const float* from = x_ + offset_of(kept_, kept) + lane;
    double folded[kLaneTile];
    float top[kLaneTile] = {};
    if (kind_ == ReduceKind::exp_sum) {
      fold(ReduceKind::max, from, width, folded, top);
      // Of infinite maxima nothing is subtracted: exp then says what is left.
      for (int64_t l = 0; l < width; ++l) top[l] = std::isfinite(folded[l]) ? static_cast<float>(folded[l]) : 0.0f;
    }
    fold(kind_, from, width, folded, top);
    for (int64_t l = 0; l < width; ++l) y_[kept * lanes_ + lane + l] = finished(folded[l], top[l]);
  }

  void fold(ReduceKind kind, const float* from, int64_t width, double* folded, const float* top) const {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    const double start = kind == ReduceKind::max ? -kInfinite : kind == ReduceKind::min ? kInfinite : kind == ReduceKind::product ? 1 : 0;
    std::fill_n(folded, width, start);
    for (int64_t t = 0; t < terms_; ++t) {
      const float* at = from + offset_of(gone_, t);
      if (lanes_ == 1) folded[0] = loops_.reduce_run(kind, at, run_, folded[0], top[0]);
      else loops_.reduce_lanes(kind, at, width, folded, top);
    }
  }

  float finished(double value, float top) const {
    switch (finish_) {
      case ReduceFinish::square_root: return static_cast<float>(std::sqrt(value));
      case ReduceFinish::logarithm: return static_cast<float>(std::log(value) + static_cast<double>(top));
      default: return static_cast<float>(value * static_cast<double>(scale_));
    }
  }

  ReduceKind kind_;
  ReduceFinish finish_;
  float scale_;
  std::vector<Axis> kept_, gone_;
  int64_t lanes_ = 1;  // neighbours that are kept
  int64_t run_ = 1;    // neighbours that are reduced (one of the two is 1)
  int64_t terms_ = 1;
  const RowLoops& loops_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

class ReducePositions : public Kernel {
 public:
  ReducePositions(const Layout::Channels& channels, float scale) : c_(channels), scale_(scale) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }

  void run() override {
    constexpr int64_t kLanes = 16;
    parallel_for(c_.batch * c_.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t lane = 0; lane < c_.block; lane += kLanes) {
          const int64_t width = std::min(kLanes, c_.block - lane);
          const float* from = x_ + row * c_.inner * c_.block + lane;
          double sums[kLanes] = {};
          for (int64_t i = 0; i < c_.inner; ++i) {
            for (int64_t l = 0; l < width; ++l) sums[l] += from[i * c_.block + l];
          }
          for (int64_t l = 0; l < width; ++l) y_[row * c_.block + lane + l] = static_cast<float>(sums[l] * scale_);
        }
      }
    });
  }

 private:
  Layout::Channels c_;
  float scale_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> reduce_sum(const Dims& dims, const std::vector<bool>& reduced, float scale) {
  return reduce(ReduceKind::sum, ReduceFinish::scale, dims, reduced, scale);
}

std::unique_ptr<Kernel> reduce(ReduceKind kind, ReduceFinish finish, const Dims& dims, const std::vector<bool>& reduced, float scale) {
  return std::make_unique<Reduce>(kind, finish, dims, reduced, scale);
}

std::unique_ptr<Kernel> reduce_positions(const Layout& layout, float scale) {
  const auto channels = layout.channels();
  check(channels.has_value(), "a layout with channels");
  return std::make_unique<ReducePositions>(*channels, scale);
}

}  // namespace espalier
