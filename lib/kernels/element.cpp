#include "lib/kernels/element.h"

#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {
namespace {

constexpr int64_t kChunk = 1024;        // floats of a register at most: a chain stays in the first-level cache
constexpr int64_t kMemory = 16 * kChunk;  // floats of all registers; where there are many, each is shorter
constexpr int kMaxRegisters = kMemory / 16;

constexpr std::array<std::string_view, 63> kNames = {
    "copy", "relu", "leaky_relu", "clip", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "neg", "sqrt", "exp",
    "log", "abs", "reciprocal", "square", "scale_shift", "elu", "selu", "softplus", "softsign", "mish", "gelu",
    "gelu_tanh", "thresholded_relu", "erf", "floor", "ceil", "round", "sign", "cube", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "power", "add", "sub", "mul", "div",
    "max", "min", "pow", "fmod", "prelu", "equal", "relu_grad", "leaky_relu_grad", "clip_grad", "sigmoid_grad",
    "tanh_grad", "hard_sigmoid_grad", "hard_swish_grad", "elu_grad", "gelu_grad", "gelu_tanh_grad",
    "thresholded_relu_grad"};

/// Where the elements of one operand come from while the result is walked in memory order.
struct Source {
  ElementOperand how;
  const float* data = nullptr;
};

class ElementChain : public Kernel {
 public:
  ElementChain(const Layout& layout, std::vector<ElementOperand> operands, std::vector<ElementStep> steps)
      : count_(layout.padded_count()), dims_(layout.dims()), channels_(layout.channels()), steps_(std::move(steps)),
        loops_(vector_loops()) {
    for (auto& operand : operands) sources_.push_back({std::move(operand), nullptr});
    int top = static_cast<int>(sources_.size());
    for (const ElementStep& step : steps_) top = std::max(top, step.target + 1);
    check(top <= kMaxRegisters, "a chain that fits the registers");
    registers_ = top;
    chunk_ = std::min(kChunk, kMemory / top / 16 * 16);
    clears_padding_ = channels_ && channels_->blocks * channels_->block > channels_->channels;
  }

  void bind(std::span<void* const> args) override {
    check(args.size() == sources_.size() + 1, "as many addresses as operands and a result");
    for (size_t i = 0; i < sources_.size(); ++i) sources_[i].data = static_cast<const float*>(args[i]);
    result_ = static_cast<float*>(args.back());
  }

  void run() override {
    parallel_for(count_, kChunk, [this](int64_t begin, int64_t end) {
      alignas(64) float memory[kMemory];
      for (int64_t at = begin; at < end; at += chunk_) run_chunk(at, std::min(chunk_, end - at), memory);
    });
    if (clears_padding_) clear_padding();
  }

 private:
  void run_chunk(int64_t at, int64_t n, float* memory) {
    float* registers[kMaxRegisters];
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (sources_[i].how.kind == ElementOperand::Kind::full) {
        registers[i] = const_cast<float*>(sources_[i].data) + at;
      } else {
        registers[i] = memory + static_cast<int64_t>(i) * chunk_;
        fill(sources_[i], at, n, registers[i]);
      }
    }
    for (int r = static_cast<int>(sources_.size()); r < registers_; ++r) registers[r] = memory + r * chunk_;
    registers[steps_.back().target] = result_ + at;
    loops_.element_steps(steps_.data(), static_cast<int>(steps_.size()), registers, n);
  }

  void fill(const Source& source, int64_t at, int64_t n, float* out) const {
    switch (source.how.kind) {
      case ElementOperand::Kind::scalar: std::fill_n(out, n, source.data[0]); break;
      case ElementOperand::Kind::channel: fill_channel(source, at, n, out); break;
      default: fill_strided(source, at, n, out);
    }
  }

  void fill_channel(const Source& source, int64_t at, int64_t n, float* out) const {
    const Layout::Channels& c = *channels_;
    const int64_t row_size = c.inner * c.block;
    while (n > 0) {
      const int64_t row = at / row_size, within = at % row_size, take = std::min(n, row_size - within);
      const float* values = source.data + row / c.blocks * source.how.batch_stride + row % c.blocks * c.block;
      if (c.block == 1) {
        std::fill_n(out, take, values[0]);
      } else {
        int64_t lane = within % c.block;
        for (int64_t i = 0; i < take; ++i) {
          out[i] = values[lane];
          if (++lane == c.block) lane = 0;
        }
      }
      at += take, out += take, n -= take;
    }
  }

  void fill_strided(const Source& source, int64_t at, int64_t n, float* out) const {
    const size_t rank = dims_.size();
    int64_t index[kMaxRank], offset = 0, rest = at;
    for (size_t i = rank; i-- > 0;) {
      index[i] = rest % dims_[i];
      rest /= dims_[i];
      offset += index[i] * source.how.strides[i];
    }
    // Along the last axis in one go, then on to the next index.
    const int64_t step = rank == 0 ? 0 : source.how.strides[rank - 1];
    while (n > 0) {
      const int64_t take = rank == 0 ? n : std::min(n, dims_[rank - 1] - index[rank - 1]);
      for (int64_t k = 0; k < take; ++k) out[k] = source.data[offset + k * step];
      out += take, n -= take, offset += take * step;
      if (rank == 0) continue;
      index[rank - 1] += take;
      for (size_t i = rank; i-- > 0 && index[i] == dims_[i];) {
        offset -= dims_[i] * source.how.strides[i];
        index[i] = 0;
        if (i > 0) offset += source.how.strides[i - 1], ++index[i - 1];
      }
    }
  }

  void clear_padding() {
    const Layout::Channels& c = *channels_;
    const int64_t used = c.channels - (c.blocks - 1) * c.block;
    parallel_for(c.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        float* row = result_ + (n * c.blocks + c.blocks - 1) * c.inner * c.block;
        for (int64_t i = 0; i < c.inner; ++i) std::fill(row + i * c.block + used, row + (i + 1) * c.block, 0.0f);
      }
    });
  }

  int64_t count_;
  Dims dims_;
  std::optional<Layout::Channels> channels_;
  std::vector<ElementStep> steps_;
  std::vector<Source> sources_;
  int registers_ = 0;
  int64_t chunk_ = kChunk;
  bool clears_padding_ = false;
  float* result_ = nullptr;
  const VectorLoops& loops_;
};

}  // namespace

int operand_count(ElementKind kind) { return kind >= ElementKind::add ? 2 : 1; }
std::string_view name(ElementKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::unique_ptr<Kernel> element_chain(const Layout& layout, std::vector<ElementOperand> operands,
                                      std::vector<ElementStep> steps) {
  check(layout.type() == DataType::float32 && !steps.empty(), "a chain of steps on float");
  return std::make_unique<ElementChain>(layout, std::move(operands), std::move(steps));
}

}  // namespace espalier
