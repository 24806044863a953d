#include "lib/kernels/softmax.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/kernels/row_loops.h"

namespace espalier {
namespace {

constexpr int64_t kGrain = 4096;  // elements worth a thread

class Softmax : public Kernel {
 public:
  Softmax(const SoftmaxProblem& problem, bool backward) : p_(problem), backward_(backward), loops_(row_loops()) {
    tiles_ = p_.inner == 1 ? 1 : (p_.inner + kLaneTile - 1) / kLaneTile;
  }

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    dy_ = static_cast<const float*>(args[1]);
    y_ = static_cast<float*>(args.back());
  }

  void run() override {
    const int64_t each = p_.count * std::min(p_.inner, kLaneTile);
    parallel_for(p_.outer * tiles_, 1 + kGrain / each, [this](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) tile(i / tiles_, i % tiles_ * kLaneTile);
    });
  }

 private:
  void tile(int64_t outer, int64_t lane) {
    const int64_t at = outer * p_.count * p_.inner + lane, lanes = std::min(kLaneTile, p_.inner - lane);
    if (p_.inner == 1) {
      if (backward_) loops_.softmax_grad_run(x_ + at, dy_ + at, y_ + at, p_.count, p_.logarithm);
      else loops_.softmax_run(x_ + at, y_ + at, p_.count, p_.logarithm);
    } else if (backward_) {
      loops_.softmax_grad_lanes(x_ + at, dy_ + at, y_ + at, p_.count, p_.inner, lanes, p_.logarithm);
    } else {
      loops_.softmax_lanes(x_ + at, y_ + at, p_.count, p_.inner, lanes, p_.logarithm);
    }
  }

  SoftmaxProblem p_;
  bool backward_;
  int64_t tiles_;
  const RowLoops& loops_;
  const float *x_ = nullptr, *dy_ = nullptr;
  float* y_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> softmax(const SoftmaxProblem& p) { return std::make_unique<Softmax>(p, false); }
std::unique_ptr<Kernel> softmax_backward(const SoftmaxProblem& p) { return std::make_unique<Softmax>(p, true); }

}  // namespace espalier
