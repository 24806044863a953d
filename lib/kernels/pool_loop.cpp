#include "lib/kernels/pool_loop.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {
namespace {

using Kind = PoolLoopProblem::Kind;

/// f(y, x) for each element of a run, `lanes` neighbours a position.
template <class T, class U, class F>
void along(const PoolRun& run, int64_t block, T* y, U* x, F f) {
  y += run.out * block;
  x += run.in * block;
  if (run.step == 1) {
    for (int64_t i = 0; i < run.length * block; ++i) f(y[i], x[i]);
  } else if (block == 1) {
    for (int64_t i = 0; i < run.length; ++i) f(y[i], x[i * run.step]);
  } else {
    for (int64_t i = 0; i < run.length; ++i, y += block, x += run.step * block) {
      for (int64_t l = 0; l < block; ++l) f(y[l], x[l]);
    }
  }
}

/// y = f(y, x) for the elements of a run by the vector loops: the steps have register 0 for x, 1 for y, which is also the
/// target, and 2 for what lies between.
class VectorAlong {
 public:
  explicit VectorAlong(std::vector<ElementStep> steps) : steps_(std::move(steps)), loops_(vector_loops()) {}

  void operator()(const PoolRun& run, int64_t block, float* y, const float* x) const {
    const bool dense = run.step == 1;
    const int64_t rows = dense ? 1 : run.length, length = dense ? run.length * block : block;
    for (int64_t row = 0; row < rows; ++row) {
      combine(y + (run.out + row) * block, x + (run.in + row * run.step) * block, length);
    }
  }

  static VectorAlong maximum() { return VectorAlong({{{ElementKind::max}, 0, 1, 1}}); }
  static VectorAlong sum() { return VectorAlong({{{ElementKind::add}, 1, 0, 1}}); }
  static VectorAlong sum_of_squares() { return VectorAlong({{{ElementKind::square}, 0, 0, 2}, {{ElementKind::add}, 1, 2, 1}}); }
  static VectorAlong sum_of_sizes() { return VectorAlong({{{ElementKind::abs}, 0, 0, 2}, {{ElementKind::add}, 1, 2, 1}}); }

 private:
  void combine(float* y, const float* x, int64_t n) const {
    constexpr int64_t kChunk = 1024;
    alignas(64) float between[kChunk];
    for (int64_t at = 0; at < n; at += kChunk) {
      float* const registers[] = {const_cast<float*>(x) + at, y + at, between};
      loops_.element_steps(steps_.data(), static_cast<int>(steps_.size()), registers, std::min(kChunk, n - at));
    }
  }

  std::vector<ElementStep> steps_;
  const VectorLoops& loops_;
};

/// Whether a run has neighbours enough for the vector loops.
bool is_wide(const PoolRun& run, int64_t block) { return run.step == 1 || block >= 8; }

template <class T>
bool beats(T value, T best) {
  return value > best || (value != value && best == best);
}

/// Where the first maximum of each window stands, or -1; `best` is as long.
void find_maxima(const PoolLoopProblem& p, const float* x, float* best, int32_t* at) {
  std::fill_n(best, p.out * p.block, -std::numeric_limits<float>::infinity());
  std::fill_n(at, p.out * p.block, -1);
  for (const PoolRun& run : p.runs) {
    for (int64_t i = 0; i < run.length; ++i) {
      const int64_t position = run.in + i * run.step, to = (run.out + i) * p.block;
      const float* from = x + position * p.block;
      for (int64_t l = 0; l < p.block; ++l) {
        const bool wins = at[to + l] < 0 || beats(from[l], best[to + l]);
        best[to + l] = wins ? from[l] : best[to + l];
        at[to + l] = wins ? static_cast<int32_t>(position) : at[to + l];
      }
    }
  }
}

class PoolLoop : public Kernel {
 public:
  explicit PoolLoop(PoolLoopProblem problem) : p_(std::move(problem)) {}

 protected:
  template <class Body>
  void for_each_row(Body&& body) const {
    parallel_for(p_.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) body(row);
    });
  }
  int64_t in_size() const { return p_.in * p_.block; }
  int64_t out_size() const { return p_.out * p_.block; }

  PoolLoopProblem p_;
};

template <class T>
class MaxLoop : public PoolLoop {
 public:
  using PoolLoop::PoolLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const T*>(args[0]);
    y_ = static_cast<T*>(args[1]);
  }

  void run() override {
    for_each_row([this](int64_t row) {
      const T* x = x_ + row * in_size();
      T* y = y_ + row * out_size();
      std::fill_n(y, out_size(), std::is_integral_v<T> ? std::numeric_limits<T>::lowest() : -std::numeric_limits<T>::infinity());
      for (const PoolRun& run : p_.runs) {
        if constexpr (std::is_same_v<T, float>) {
          if (is_wide(run, p_.block)) {
            vector_(run, p_.block, y, x);
            continue;
          }
        }
        along(run, p_.block, y, x, [](T& to, const T& from) { to = from > to || from != from ? from : to; });
      }
    });
  }

 private:
  VectorAlong vector_ = VectorAlong::maximum();
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

class IndexedMaxLoop : public PoolLoop {
 public:
  IndexedMaxLoop(PoolLoopProblem problem, std::vector<int64_t> number_of) : PoolLoop(std::move(problem)), number_of_(std::move(number_of)) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
    indices_ = static_cast<int64_t*>(args[2]);
    at_ = static_cast<int32_t*>(args[3]);
  }

  void run() override {
    for_each_row([this](int64_t row) {
      int32_t* at = at_ + row * p_.out;
      find_maxima(p_, x_ + row * p_.in, y_ + row * p_.out, at);
      for (int64_t i = 0; i < p_.out; ++i) {
        const int64_t number = at[i] < 0 || number_of_.empty() ? at[i] : number_of_[static_cast<size_t>(at[i])];
        indices_[row * p_.out + i] = at[i] < 0 ? -1 : row * p_.in + number;
      }
    });
  }

 private:
  std::vector<int64_t> number_of_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
  int64_t* indices_ = nullptr;
  int32_t* at_ = nullptr;
};

class SumLoop : public PoolLoop {
 public:
  using PoolLoop::PoolLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }

  void run() override {
    for_each_row([this](int64_t row) {
      const float* x = x_ + row * in_size();
      float* y = y_ + row * out_size();
      std::fill_n(y, out_size(), 0.0f);
      if (p_.kind == Kind::average) average(x, y);
      else power(x, y);
    });
  }

 private:
  void average(const float* x, float* y) const {
    for (const PoolRun& run : p_.runs) {
      if (is_wide(run, p_.block)) sum_(run, p_.block, y, x);
      else along(run, p_.block, y, x, [](float& to, const float& from) { to += from; });
    }
    for (int64_t i = 0; i < p_.out; ++i) {
      for (int64_t l = 0; l < p_.block; ++l) y[i * p_.block + l] *= p_.share[static_cast<size_t>(i)];
    }
  }

  void power(const float* x, float* y) const {
    const float p = p_.power;
    for (const PoolRun& run : p_.runs) {
      if (p == 2 && is_wide(run, p_.block)) squares_(run, p_.block, y, x);
      else if (p == 1 && is_wide(run, p_.block)) sizes_(run, p_.block, y, x);
      else if (p == 2) along(run, p_.block, y, x, [](float& to, const float& from) { to += from * from; });
      else if (p == 1) along(run, p_.block, y, x, [](float& to, const float& from) { to += std::abs(from); });
      else along(run, p_.block, y, x, [p](float& to, const float& from) { to += std::pow(std::abs(from), p); });
    }
    if (p == 1) return;
    for (int64_t i = 0; i < out_size(); ++i) y[i] = p == 2 ? std::sqrt(y[i]) : std::pow(y[i], 1 / p);
  }

  VectorAlong sum_ = VectorAlong::sum(), squares_ = VectorAlong::sum_of_squares(), sizes_ = VectorAlong::sum_of_sizes();
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

class MaxBackward : public PoolLoop {
 public:
  using PoolLoop::PoolLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    dy_ = static_cast<const float*>(args[1]);
    dx_ = static_cast<float*>(args[2]);
    best_ = static_cast<float*>(args[3]);
    at_ = reinterpret_cast<int32_t*>(best_ + p_.results());
  }

  void run() override {
    for_each_row([this](int64_t row) {
      int32_t* at = at_ + row * out_size();
      const float* dy = dy_ + row * out_size();
      float* dx = dx_ + row * in_size();
      find_maxima(p_, x_ + row * in_size(), best_ + row * out_size(), at);
      std::fill_n(dx, in_size(), 0.0f);
      for (int64_t i = 0; i < p_.out; ++i) {
        for (int64_t l = 0; l < p_.block; ++l) {
          const int64_t o = i * p_.block + l;
          if (at[o] >= 0) dx[at[o] * p_.block + l] += dy[o];
        }
      }
    });
  }

 private:
  const float *x_ = nullptr, *dy_ = nullptr;
  float *dx_ = nullptr, *best_ = nullptr;
  int32_t* at_ = nullptr;
};

class AverageBackward : public PoolLoop {
 public:
  using PoolLoop::PoolLoop;

  void bind(std::span<void* const> args) override {
    dy_ = static_cast<const float*>(args[0]);
    dx_ = static_cast<float*>(args[1]);
  }

  void run() override {
    for_each_row([this](int64_t row) {
      const float* dy = dy_ + row * out_size();
      float* dx = dx_ + row * in_size();
      std::fill_n(dx, in_size(), 0.0f);
      for (const PoolRun& run : p_.runs) {
        for (int64_t i = 0; i < run.length; ++i) {
          const float share = p_.share[static_cast<size_t>(run.out + i)];
          const float* from = dy + (run.out + i) * p_.block;
          float* to = dx + (run.in + i * run.step) * p_.block;
          for (int64_t l = 0; l < p_.block; ++l) to[l] += from[l] * share;
        }
      }
    });
  }

 private:
  const float* dy_ = nullptr;
  float* dx_ = nullptr;
};

/// dx = dy sign(x) (|x| / y)^(p - 1), 0 where all under a window are 0.
class PowerBackward : public PoolLoop {
 public:
  using PoolLoop::PoolLoop;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<const float*>(args[1]);
    dy_ = static_cast<const float*>(args[2]);
    dx_ = static_cast<float*>(args[3]);
  }

  void run() override {
    for_each_row([this](int64_t row) {
      float* dx = dx_ + row * in_size();
      std::fill_n(dx, in_size(), 0.0f);
      for (const PoolRun& run : p_.runs) {
        for (int64_t i = 0; i < run.length; ++i) {
          const int64_t o = row * out_size() + (run.out + i) * p_.block, at = (run.in + i * run.step) * p_.block;
          for (int64_t l = 0; l < p_.block; ++l) dx[at + l] += slope(x_[row * in_size() + at + l], y_[o + l]) * dy_[o + l];
        }
      }
    });
  }

 private:
  float slope(float x, float y) const {
    if (x == 0 || y == 0) return 0;
    if (p_.power == 2) return x / y;
    const float size = p_.power == 1 ? 1.0f : std::pow(std::abs(x) / y, p_.power - 1);
    return x < 0 ? -size : size;
  }

  const float *x_ = nullptr, *y_ = nullptr, *dy_ = nullptr;
  float* dx_ = nullptr;
};

/// What MaxUnpool and its gradient share: where an index lands.
class Unpooling : public Kernel {
 public:
  explicit Unpooling(UnpoolProblem problem)
      : p_(std::move(problem)), limit_(element_count(p_.counted)), results_(element_count(p_.to)), same_(p_.counted == p_.to) {}

 protected:
  int64_t place(int64_t index) const {
    if (index < 0 || index >= limit_) {
      throw Error(ErrorKind::bad_data, p_.where + ": index " + std::to_string(index) + " is out of range for " + std::to_string(limit_) + " elements");
    }
    if (same_) return index;
    int64_t to = 0, stride = 1;
    for (size_t axis = p_.counted.size(); axis-- > 0; index /= p_.counted[axis], stride *= p_.to[axis]) to += index % p_.counted[axis] * stride;
    return to;
  }

  UnpoolProblem p_;
  int64_t limit_, results_;
  bool same_;
};

class Unpool : public Unpooling {
 public:
  using Unpooling::Unpooling;

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    indices_ = static_cast<const int64_t*>(args[1]);
    y_ = static_cast<float*>(args[2]);
  }

  void run() override {
    std::fill_n(y_, results_, 0.0f);
    for (int64_t i = 0; i < p_.elements; ++i) y_[place(indices_[i])] = x_[i];
  }

 private:
  const float* x_ = nullptr;
  const int64_t* indices_ = nullptr;
  float* y_ = nullptr;
};

class UnpoolBackward : public Unpooling {
 public:
  using Unpooling::Unpooling;

  void bind(std::span<void* const> args) override {
    dy_ = static_cast<const float*>(args[0]);
    indices_ = static_cast<const int64_t*>(args[1]);
    dx_ = static_cast<float*>(args[2]);
    winner_ = static_cast<int64_t*>(args[3]);
  }

  void run() override {
    for (int64_t i = 0; i < p_.elements; ++i) winner_[place(indices_[i])] = i;
    for (int64_t i = 0; i < p_.elements; ++i) {
      const int64_t at = place(indices_[i]);
      dx_[i] = winner_[at] == i ? dy_[at] : 0.0f;
    }
  }

 private:
  const float* dy_ = nullptr;
  const int64_t* indices_ = nullptr;
  float* dx_ = nullptr;
  int64_t* winner_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> pool_loop(PoolLoopProblem p, DataType type) {
  if (p.kind != Kind::max) return std::make_unique<SumLoop>(std::move(p));
  if (type == DataType::int8) return std::make_unique<MaxLoop<int8_t>>(std::move(p));
  if (type == DataType::uint8) return std::make_unique<MaxLoop<uint8_t>>(std::move(p));
  check(type == DataType::float32, "a maximum of float, int8 or uint8");
  return std::make_unique<MaxLoop<float>>(std::move(p));
}

std::unique_ptr<Kernel> pool_loop_with_indices(PoolLoopProblem p, std::vector<int64_t> number_of) {
  check(p.block == 1 && p.kind == Kind::max, "indices of maxima in planes");
  return std::make_unique<IndexedMaxLoop>(std::move(p), std::move(number_of));
}

std::unique_ptr<Kernel> pool_loop_backward(PoolLoopProblem p) {
  if (p.kind == Kind::max) return std::make_unique<MaxBackward>(std::move(p));
  if (p.kind == Kind::average) return std::make_unique<AverageBackward>(std::move(p));
  return std::make_unique<PowerBackward>(std::move(p));
}

std::unique_ptr<Kernel> unpool(UnpoolProblem p) { return std::make_unique<Unpool>(std::move(p)); }
std::unique_ptr<Kernel> unpool_backward(UnpoolProblem p) { return std::make_unique<UnpoolBackward>(std::move(p)); }

}  // namespace espalier
