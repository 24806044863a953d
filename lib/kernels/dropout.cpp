#include "lib/kernels/dropout.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"

namespace espalier {
namespace {

class Dropout : public Kernel {
 public:
  Dropout(const DropoutProblem& p, const Layout& layout) : p_(p), random_(p.seed, RandomUse::dropout, p.node), plain_(layout.is_plain()), count_(layout.padded_count()) {
    if (!plain_) rows_ = *layout.channels();
  }

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    step_ = static_cast<const int64_t*>(args[1]);
    y_ = static_cast<float*>(args[2]);
  }

  void run() override {
    const uint64_t step = static_cast<uint64_t>(*step_) << 32;
    if (plain_) {
      return parallel_for(count_, 4096, [&](int64_t begin, int64_t end) { draw(step, begin, end, 0, 1); });
    }
    // Channel by channel, so that four neighbours share a draw; the padding stays as it is, zero.
    const int64_t block_size = rows_.inner * rows_.block;
    parallel_for(rows_.batch * rows_.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t n = row / rows_.blocks, first = row % rows_.blocks * rows_.block;
        if (first + rows_.block > rows_.channels) std::copy_n(x_ + row * block_size, block_size, y_ + row * block_size);
        for (int64_t lane = 0; lane < std::min(rows_.block, rows_.channels - first); ++lane) {
          const int64_t from = (n * rows_.channels + first + lane) * rows_.inner;
          draw(step, from, from + rows_.inner, row * block_size + lane - from * rows_.block, rows_.block);
        }
      }
    });
  }

 private:
  /// Elements begin .. end of the row-major order; element i lies at base + i * stride.
  void draw(uint64_t step, int64_t begin, int64_t end, int64_t base, int64_t stride) {
    const float scale = static_cast<float>(1.0 / (1.0 - static_cast<double>(p_.ratio)));
    for (int64_t i = begin; i < end;) {
      const auto words = random_.words(step | static_cast<uint64_t>(i / 4));
      for (int64_t k = i % 4; k < 4 && i < end; ++k, ++i) {
        const float uniform = static_cast<float>(words[static_cast<size_t>(k)] >> 8) * 0x1p-24f;
        const int64_t at = base + i * stride;
        y_[at] = uniform >= p_.ratio ? x_[at] * scale : 0.0f;
      }
    }
  }

  DropoutProblem p_;
  Random random_;
  bool plain_;
  int64_t count_;
  Layout::Channels rows_{};
  const float* x_ = nullptr;
  const int64_t* step_ = nullptr;
  float* y_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> dropout(const DropoutProblem& problem, const Layout& layout) {
  check(layout.type() == DataType::float32 && (layout.is_plain() || layout.channels()), "a layout with channels");
  return std::make_unique<Dropout>(problem, layout);
}

}  // namespace espalier
