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
  /// Whether loops of ours run it, being a few rows: these read b as it is stored, a library call likes [k, n].
  static bool is_small(int64_t m) { return m <= 4; }

 private:
  void run_small(const float* a, const float* b, float* c) const;

  StepProductProblem problem_;
  struct Library;
  std::unique_ptr<Library> library_;
};

}  // namespace espalier
