#pragma once

#include <memory>

#include "lib/kernels/kernel.h"

namespace espalier {

/// c[m, n] = a[m, k] b[k, n], or added to c, on float matrices by leading dimensions: the product inside a kernel that runs
/// it many times on other places. All is made ready before the first run, which then allocates nothing of ours.
struct StepProductProblem {
  int64_t m, n, k;
  int64_t lda, ldb, ldc;                            ///< floats from one stored row to the next
  bool transpose_a = false, transpose_b = false;    ///< stored as [k, m], [n, k]
  bool accumulate = false;
};

class StepProduct {
 public:
  explicit StepProduct(const StepProductProblem& problem);
  ~StepProduct();
  StepProduct(StepProduct&&) noexcept;
  StepProduct& operator=(StepProduct&&) noexcept;

  void run(const float* a, const float* b, float* c) const;
  /// Whether m rows are so few that loops of ours run them on b stored [n, k]. From there on b is best stored [k, n], by loops of
  /// ours where the threads of a library call would cost more than the product.
  static bool has_few_rows(int64_t m) { return m <= 4; }

 private:
  void run_small(const float* a, const float* b, float* c) const;

  StepProductProblem problem_;
  struct Library;
  std::unique_ptr<Library> library_;
};

}  // namespace espalier
