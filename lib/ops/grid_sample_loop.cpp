#include "lib/ops/grid_sample_loop.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/ops/grid_sampler.h"

namespace espalier {
namespace {

constexpr int kMostAxes = 3, kMostTaps = 64;
constexpr int64_t kPointGrain = 64;

/// What one point reads of a plane.
struct Taps {
  int count = 0;
  int64_t offset[kMostTaps];
  float weight[kMostTaps];
  float slope[kMostTaps][kMostAxes];  ///< derivative by the grid's coordinates, in their order
};

struct Sizes {
  int64_t batch, channels, points;
  int64_t in[kMostAxes];
  int rank;
  int64_t plane;
};

class Sampled : public Kernel {
 public:
  Sampled(const GridSampler& sampler, const Sizes& sizes) : sampler_(sampler), s_(sizes) {}

 protected:
  void read_taps(const float* grid, Taps& taps) const {
    SamplePoint axes[kMostAxes];
    taps.count = 0;
    for (int i = 0; i < s_.rank; ++i) axes[i] = sampler_.at(static_cast<double>(grid[s_.rank - 1 - i]), s_.in[i]);
    for (int i = 0; i < s_.rank; ++i) {
      if (axes[i].count == 0) return;
    }
    int at[kMostAxes] = {};
    for (int axis = 0; axis >= 0;) {
      const int k = taps.count++;
      double weight = 1;
      taps.offset[k] = 0;
      for (int i = 0; i < s_.rank; ++i) {
        taps.offset[k] = taps.offset[k] * s_.in[i] + axes[i].index[at[i]];
        weight *= axes[i].weight[at[i]];
      }
      taps.weight[k] = static_cast<float>(weight);
      for (int by = 0; by < s_.rank; ++by) {
        double slope = 1;
        for (int i = 0; i < s_.rank; ++i) slope *= i == by ? axes[i].slope[at[i]] : axes[i].weight[at[i]];
        taps.slope[k][s_.rank - 1 - by] = static_cast<float>(slope);
      }
      for (axis = s_.rank - 1; axis >= 0; --axis) {
        if (++at[axis] < axes[axis].count) break;
        at[axis] = 0;
      }
    }
  }

  GridSampler sampler_;
  Sizes s_;
};

/// Arguments: x, grid, y.
class SampleLoop : public Sampled {
 public:
  using Sampled::Sampled;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    grid_ = static_cast<const float*>(args[1]);
    y_ = static_cast<float*>(args[2]);
  }

  void run() override {
    parallel_for(s_.batch * s_.points, kPointGrain, [this](int64_t begin, int64_t end) {
      Taps taps;
      for (int64_t p = begin; p < end; ++p) {
        read_taps(grid_ + p * s_.rank, taps);
        const int64_t first = p / s_.points * s_.channels;
        for (int64_t channel = first; channel < first + s_.channels; ++channel) {
          float sum = 0;
          for (int k = 0; k < taps.count; ++k) sum += taps.weight[k] * x_[channel * s_.plane + taps.offset[k]];
          y_[channel * s_.points + p % s_.points] = sum;
        }
      }
    });
  }

 private:
  const float *x_ = nullptr, *grid_ = nullptr;
  float* y_ = nullptr;
};

/// Arguments: dy, x, grid, dx, [dgrid].
class SampleBackward : public Sampled {
 public:
  using Sampled::Sampled;

  void bind(std::span<void* const> args) override {
    dy_ = static_cast<const float*>(args[0]);
    x_ = static_cast<const float*>(args[1]);
    grid_ = static_cast<const float*>(args[2]);
    dx_ = static_cast<float*>(args[3]);
    dgrid_ = args.size() > 4 ? static_cast<float*>(args[4]) : nullptr;
  }

  void run() override {
    parallel_for(s_.channels, 1, [this](int64_t begin, int64_t end) { give_back(begin, end); });
    if (!dgrid_) return;
    parallel_for(s_.batch * s_.points, kPointGrain, [this](int64_t begin, int64_t end) { move_points(begin, end); });
  }

 private:
  /// dx += weight dy at each tap, of some channels.
  void give_back(int64_t begin, int64_t end) {
    Taps taps;
    for (int64_t n = 0; n < s_.batch; ++n) {
      std::fill(dx_ + (n * s_.channels + begin) * s_.plane, dx_ + (n * s_.channels + end) * s_.plane, 0.0f);
    }
    for (int64_t p = 0; p < s_.batch * s_.points; ++p) {
      read_taps(grid_ + p * s_.rank, taps);
      for (int64_t channel = begin; channel < end; ++channel) {
        const int64_t row = p / s_.points * s_.channels + channel;
        const float g = dy_[row * s_.points + p % s_.points];
        for (int k = 0; k < taps.count; ++k) dx_[row * s_.plane + taps.offset[k]] += taps.weight[k] * g;
      }
    }
  }

  void move_points(int64_t begin, int64_t end) {
    Taps taps;
    for (int64_t p = begin; p < end; ++p) {
      read_taps(grid_ + p * s_.rank, taps);
      float* to = dgrid_ + p * s_.rank;
      std::fill_n(to, s_.rank, 0.0f);
      for (int k = 0; k < taps.count; ++k) {
        float dot = 0;
        for (int64_t channel = 0; channel < s_.channels; ++channel) {
          const int64_t row = p / s_.points * s_.channels + channel;
          dot += x_[row * s_.plane + taps.offset[k]] * dy_[row * s_.points + p % s_.points];
        }
        for (int i = 0; i < s_.rank; ++i) to[i] += dot * taps.slope[k][i];
      }
    }
  }

  const float *dy_ = nullptr, *x_ = nullptr, *grid_ = nullptr;
  float *dx_ = nullptr, *dgrid_ = nullptr;
};

std::optional<Sizes> sizes_of(const LowerContext& c, size_t x, size_t grid) {
  const Dims in = c.dims(x), by = c.dims(grid);
  if (c.type(x) != DataType::float32 || c.type(grid) != DataType::float32 || in.size() < 3 || in.size() > 2 + kMostAxes) return std::nullopt;
  if (element_count(in) == 0 || element_count(by) == 0 || by.size() != in.size() || by[0] != in[0]) return std::nullopt;
  Sizes s{in[0], in[1], element_count({by.begin() + 1, by.end() - 1}), {}, static_cast<int>(in.size()) - 2, 1};
  for (int i = 0; i < s.rank; ++i) s.plane *= s.in[i] = in[static_cast<size_t>(i) + 2];
  return s;
}

Operand plain(LowerContext& c, size_t i) { return c.read(i, Layout::plain(DataType::float32, c.dims(i))); }
Operand written(LowerContext& c, size_t i) { return c.write(i, Layout::plain(DataType::float32, c.output_dims(i))); }

}  // namespace

bool lower_grid_sample(LowerContext& c) {
  const auto sizes = sizes_of(c, 0, 1);
  if (!sizes) return false;
  const Operand x = plain(c, 0), grid = plain(c, 1);
  c.step(std::make_unique<SampleLoop>(GridSampler(c.node()), *sizes), {x, grid, written(c, 0)}, "loop");
  return true;
}

bool lower_grid_sample_grad(LowerContext& c) {
  const auto sizes = sizes_of(c, 1, 2);
  if (!sizes || c.type(0) != DataType::float32 || !c.has_output(0)) return false;
  std::vector<Operand> args = {plain(c, 0), plain(c, 1), plain(c, 2), written(c, 0)};
  if (c.has_output(1)) args.push_back(written(c, 1));
  c.step(std::make_unique<SampleBackward>(GridSampler(c.node()), *sizes), args, "loop");
  return true;
}

}  // namespace espalier
