#include "lib/kernels/contract.h"

#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/base/parallel.h"

namespace espalier {
namespace {

constexpr size_t kMostOperands = 8;

class Contract : public Kernel {
 public:
  explicit Contract(ContractProblem p) : p_(std::move(p)), operands_(p_.strides.size()), terms_(element_count(p_.summed)) {
    check(operands_ >= 1 && operands_ <= kMostOperands, "up to eight operands");
    if (!p_.summed.empty()) run_ = p_.summed.back();
    for (size_t i = 0; i < operands_; ++i) steps_[i] = p_.summed.empty() ? 0 : p_.strides[i].back();
    data_.resize(operands_);
  }

  void bind(std::span<void* const> args) override {
    for (size_t i = 0; i < operands_; ++i) data_[i] = static_cast<const float*>(args[i]);
    y_ = static_cast<float*>(args[operands_]);
  }

  void run() override {
    parallel_for(element_count(p_.kept), 1 + 8192 / (terms_ + 1), [this](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y_[o] = static_cast<float>(sum_at(o));
    });
  }

 private:
  using Offsets = std::array<int64_t, kMostOperands>;

  /// Adds the offsets of position `index` of a row-major grid, whose strides begin at `first`.
  void locate(const Dims& grid, size_t axes, size_t first, int64_t index, Offsets& at) const {
    for (size_t axis = axes; axis-- > 0; index /= grid[axis]) {
      const int64_t i = index % grid[axis];
      for (size_t k = 0; k < operands_; ++k) at[k] += i * p_.strides[k][first + axis];
    }
  }

  double sum_at(int64_t o) const {
    Offsets base{};
    locate(p_.kept, p_.kept.size(), 0, o, base);
    double sum = 0;
    for (int64_t row = 0; row < terms_ / run_; ++row) {
      Offsets at = base;
      if (row > 0) locate(p_.summed, p_.summed.size() - 1, p_.kept.size(), row, at);
      sum += operands_ == 1 ? sum_run(at) : operands_ == 2 ? dot_run(at) : product_run(at);
    }
    return sum;
  }

  double sum_run(const Offsets& at) const {
    double sum = 0;
    for (int64_t i = 0; i < run_; ++i) sum += data_[0][at[0] + i * steps_[0]];
    return sum;
  }

  double dot_run(const Offsets& at) const {
    double sum = 0;
    for (int64_t i = 0; i < run_; ++i) {
      sum += static_cast<double>(data_[0][at[0] + i * steps_[0]]) * static_cast<double>(data_[1][at[1] + i * steps_[1]]);
    }
    return sum;
  }

  double product_run(const Offsets& at) const {
    double sum = 0;
    for (int64_t i = 0; i < run_; ++i) {
      double product = 1;
      for (size_t k = 0; k < operands_; ++k) product *= static_cast<double>(data_[k][at[k] + i * steps_[k]]);
      sum += product;
    }
    return sum;
  }

  ContractProblem p_;
  size_t operands_;
  int64_t terms_, run_ = 1;
  Offsets steps_{};
  std::vector<const float*> data_;
  float* y_ = nullptr;
};

/// Products of what stands before and of what stands behind, so that zeros need no case.
class ProductsOfOthers : public Kernel {
 public:
  ProductsOfOthers(const Dims& dims, const std::vector<bool>& reduced) : starts_{0}, offsets_{0} {
    const Dims strides = row_major_strides(dims);
    for (size_t a = 0; a < dims.size(); ++a) {
      std::vector<int64_t> grown;
      for (const int64_t base : reduced[a] ? offsets_ : starts_) {
        for (int64_t i = 0; i < dims[a]; ++i) grown.push_back(base + i * strides[a]);
      }
      (reduced[a] ? offsets_ : starts_) = std::move(grown);
    }
  }

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<float*>(args[1]);
  }

  void run() override {
    parallel_for(static_cast<int64_t>(starts_.size()), 64, [this](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        const float* x = x_ + starts_[static_cast<size_t>(s)];
        float* y = y_ + starts_[static_cast<size_t>(s)];
        double before = 1, behind = 1;
        for (const int64_t at : offsets_) {
          y[at] = static_cast<float>(before);
          before *= static_cast<double>(x[at]);
        }
        for (size_t i = offsets_.size(); i-- > 0;) {
          y[offsets_[i]] = static_cast<float>(static_cast<double>(y[offsets_[i]]) * behind);
          behind *= static_cast<double>(x[offsets_[i]]);
        }
      }
    });
  }

 private:
  std::vector<int64_t> starts_, offsets_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> contract(ContractProblem p) { return std::make_unique<Contract>(std::move(p)); }
std::unique_ptr<Kernel> products_of_others(const Dims& dims, const std::vector<bool>& reduced) {
  return std::make_unique<ProductsOfOthers>(dims, reduced);
}

}  // namespace espalier
