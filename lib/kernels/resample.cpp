#include "lib/kernels/resample.h"

#include <algorithm>

#include "lib/base/parallel.h"

namespace espalier {
namespace {

/// A row of the source, along the last axis, that a row of the result reads.
struct RowTap {
  int64_t row;
  float weight;
};

/// y += a x.
void add_scaled(float* y, const float* x, float a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

void scale(float* y, const float* x, float a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = a * x[i];
}

/// What both directions share: the taps of all axes but the last, multiplied out into rows.
class Resample : public Kernel {
 public:
  explicit Resample(ResampleProblem problem) : p_(std::move(problem)), last_(p_.axes.back()) {
    index_.assign(last_.index.begin(), last_.index.end());
    weight_.assign(last_.weight.begin(), last_.weight.end());
    in_row_ = last_.in * p_.block;
    out_row_ = last_.out * p_.block;
    for (size_t i = 0; i + 1 < p_.axes.size(); ++i) out_rows_ *= p_.axes[i].out;
    for (int64_t o = 0; o < out_rows_; ++o) add_rows(o);
  }

  void bind(std::span<void* const> args) override {
    from_ = static_cast<const float*>(args[0]);
    to_ = static_cast<float*>(args[1]);
    scratch_ = static_cast<float*>(args[2]);
  }

 protected:
  void add_rows(int64_t o) {
    std::vector<RowTap> rows = {{0, 1.0f}};
    bool outside = false;
    int64_t stride = out_rows_;
    for (size_t i = 0; i + 1 < p_.axes.size(); ++i) {
      const AxisTaps& axis = p_.axes[i];
      stride /= axis.out;
      const int64_t at = o / stride % axis.out;
      outside |= !axis.outside.empty() && axis.outside[at];
      std::vector<RowTap> next;
      for (const RowTap& row : rows) {
        for (int64_t k = at * axis.taps; k < (at + 1) * axis.taps; ++k) {
          if (axis.weight[k] == 0) continue;
          next.push_back({row.row * axis.in + axis.index[k], row.weight * static_cast<float>(axis.weight[k])});
        }
      }
      rows = std::move(next);
    }
    if (outside) rows.clear();
    first_.push_back(static_cast<int64_t>(rows_.size()));
    rows_.insert(rows_.end(), rows.begin(), rows.end());
    end_.push_back(static_cast<int64_t>(rows_.size()));
    row_outside_.push_back(outside);
  }

  bool outside(int64_t column) const { return !last_.outside.empty() && last_.outside[column]; }

  ResampleProblem p_;
  const AxisTaps last_;
  std::vector<int64_t> index_;
  std::vector<float> weight_;
  std::vector<RowTap> rows_;
  std::vector<int64_t> first_, end_;  // of rows_, by row of the result
  std::vector<bool> row_outside_;
  int64_t in_row_ = 0, out_row_ = 0, out_rows_ = 1;
  const float* from_ = nullptr;
  float *to_ = nullptr, *scratch_ = nullptr;
};

class Forward : public Resample {
 public:
  using Resample::Resample;

  void run() override {
    const int64_t rows = p_.planes * out_rows_, pieces = std::min<int64_t>(thread_count(), rows);
    parallel_for(pieces, 1, [&](int64_t from, int64_t to) {
      for (int64_t piece = from; piece < to; ++piece) {
        for (int64_t r = rows * piece / pieces; r < rows * (piece + 1) / pieces; ++r) row(r, scratch_ + piece * in_row_);
      }
    });
  }

 private:
  void row(int64_t r, float* sum) const {
    const int64_t o = r % out_rows_;
    float* to = to_ + r * out_row_;
    if (row_outside_[o]) {
      std::fill_n(to, out_row_, p_.outside_value);
      return;
    }
    const float* plane = from_ + r / out_rows_ * p_.in_size();
    const RowTap* tap = rows_.data() + first_[o];
    const int64_t count = end_[o] - first_[o];
    if (count == 1 && tap->weight == 1.0f) return columns(plane + tap->row * in_row_, to);
    if (count == 0) std::fill_n(sum, in_row_, 0.0f);
    else scale(sum, plane + tap->row * in_row_, tap->weight, in_row_);
    for (int64_t k = 1; k < count; ++k) add_scaled(sum, plane + tap[k].row * in_row_, tap[k].weight, in_row_);
    columns(sum, to);
  }

  void columns(const float* row, float* to) const {
    switch (p_.block) {
      case 1: return last_.taps == 1 ? columns_of<1, 1>(row, to) : last_.taps == 2 ? columns_of<1, 2>(row, to) : columns_of<1, 0>(row, to);
      case 8: return last_.taps == 1 ? columns_of<8, 1>(row, to) : columns_of<8, 0>(row, to);
      case 16: return last_.taps == 1 ? columns_of<16, 1>(row, to) : columns_of<16, 0>(row, to);
      default: return columns_of<0, 0>(row, to);
    }
  }

  template <int64_t kBlock, int64_t kTaps>
  void columns_of(const float* row, float* to) const {
    const int64_t block = kBlock ? kBlock : p_.block, taps = kTaps ? kTaps : last_.taps;
    for (int64_t o = 0; o < last_.out; ++o, to += block) {
      const int64_t* index = index_.data() + o * taps;
      const float* weight = weight_.data() + o * taps;
      const float* first = row + index[0] * block;
      for (int64_t l = 0; l < block; ++l) to[l] = weight[0] * first[l];
      for (int64_t k = 1; k < taps; ++k) {
        const float* from = row + index[k] * block;
        for (int64_t l = 0; l < block; ++l) to[l] += weight[k] * from[l];
      }
    }
    if (last_.outside.empty()) return;
    to -= last_.out * block;
    for (int64_t o = 0; o < last_.out; ++o) {
      if (outside(o)) std::fill_n(to + o * block, block, p_.outside_value);
    }
  }
};

class Backward : public Resample {
 public:
  using Resample::Resample;

  void run() override {
    const int64_t pieces = std::min<int64_t>(thread_count(), p_.planes);
    parallel_for(pieces, 1, [&](int64_t from, int64_t to) {
      for (int64_t piece = from; piece < to; ++piece) {
        for (int64_t n = p_.planes * piece / pieces; n < p_.planes * (piece + 1) / pieces; ++n) plane(n, scratch_ + piece * in_row_);
      }
    });
  }

 private:
  void plane(int64_t n, float* sum) const {
    float* to = to_ + n * p_.in_size();
    std::fill_n(to, p_.in_size(), 0.0f);
    for (int64_t o = 0; o < out_rows_; ++o) {
      if (first_[o] == end_[o]) continue;
      const float* dy = from_ + (n * out_rows_ + o) * out_row_;
      const bool direct = end_[o] - first_[o] == 1 && rows_[first_[o]].weight == 1.0f;
      if (direct) {
        columns(dy, to + rows_[first_[o]].row * in_row_);
        continue;
      }
      std::fill_n(sum, in_row_, 0.0f);
      columns(dy, sum);
      for (int64_t k = first_[o]; k < end_[o]; ++k) add_scaled(to + rows_[k].row * in_row_, sum, rows_[k].weight, in_row_);
    }
  }

  /// to += the row's gradient.
  void columns(const float* dy, float* to) const {
    if (p_.block == 16) columns_of<16>(dy, to);
    else if (p_.block == 1) columns_of<1>(dy, to);
    else columns_of<0>(dy, to);
  }

  template <int64_t kBlock>
  void columns_of(const float* dy, float* to) const {
    const int64_t block = kBlock ? kBlock : p_.block, taps = last_.taps;
    for (int64_t o = 0; o < last_.out; ++o, dy += block) {
      if (outside(o)) continue;
      for (int64_t k = o * taps; k < (o + 1) * taps; ++k) {
        float* at = to + index_[k] * block;
        for (int64_t l = 0; l < block; ++l) at[l] += weight_[k] * dy[l];
      }
    }
  }
};

}  // namespace

bool AxisTaps::identity() const {
  if (in != out || taps != 1 || !outside.empty()) return false;
  for (int64_t i = 0; i < out; ++i) {
    if (index[i] != i || weight[i] != 1) return false;
  }
  return true;
}

int64_t ResampleProblem::in_size() const {
  int64_t size = block;
  for (const AxisTaps& axis : axes) size *= axis.in;
  return size;
}

int64_t ResampleProblem::out_size() const {
  int64_t size = block;
  for (const AxisTaps& axis : axes) size *= axis.out;
  return size;
}

size_t resample_scratch(const ResampleProblem& p) {
  return static_cast<size_t>(std::max<int64_t>(1, thread_count() * p.axes.back().in * p.block)) * sizeof(float);
}

std::unique_ptr<Kernel> resample_forward(ResampleProblem p) { return std::make_unique<Forward>(std::move(p)); }
std::unique_ptr<Kernel> resample_backward(ResampleProblem p) { return std::make_unique<Backward>(std::move(p)); }

}  // namespace espalier
