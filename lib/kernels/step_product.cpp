#include "lib/kernels/step_product.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/kernels/dnnl_api.h"
#include "lib/kernels/recurrent_loops.h"

namespace espalier {

/// A oneDNN primitive with its own scratchpad.
struct StepProduct::Library {
  Primitive primitive;
  AlignedBuffer scratch;
};

namespace {

dnnl_api::Desc matrix(int64_t rows, int64_t columns, int64_t ld, bool transposed) {
  return {{rows, columns}, dnnl_api::to_dnnl(DataType::float32), transposed ? Dims{1, ld} : Dims{ld, 1}};
}

Primitive library_product(const StepProductProblem& p) {
  using namespace dnnl_api;
  return guarded("a recurrent step", [&] {
    const Desc a = matrix(p.m, p.k, p.lda, p.transpose_a), b = matrix(p.k, p.n, p.ldb, p.transpose_b), c = matrix(p.m, p.n, p.ldc, false);
    auto pd = forward_pd<dnnl::matmul>(fused_attr(p.accumulate, {}), a, b, c);
    return make_primitive(dnnl::matmul(pd), {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}}, pd.scratchpad_desc(), pd.impl_info_str());
  });
}

}  // namespace

StepProduct::StepProduct(const StepProductProblem& problem) : problem_(problem) {
  constexpr int64_t kSmall = 1 << 18;
  const bool small = !problem.transpose_b && problem.m * problem.n * problem.k <= kSmall;
  // oneDNN 3.7's brgemm takes the numbers of a single column, of a or c, for neighbours, though they lie apart.
  const bool column = (problem.m == 1 || problem.n == 1) && !(problem.transpose_a && problem.transpose_b);
  if (column || (!problem.transpose_a && (has_few_rows(problem.m) || small))) return;
  library_ = std::make_unique<Library>();
  library_->primitive = library_product(problem);
  if (library_->primitive.scratch_bytes > 0) library_->scratch = AlignedBuffer(library_->primitive.scratch_bytes);
}

StepProduct::~StepProduct() = default;
StepProduct::StepProduct(StepProduct&&) noexcept = default;
StepProduct& StepProduct::operator=(StepProduct&&) noexcept = default;

void StepProduct::run(const float* a, const float* b, float* c) const {
  if (!library_) return run_small(a, b, c);
  void* const args[] = {const_cast<float*>(a), const_cast<float*>(b), c, library_->scratch.data()};
  library_->primitive.kernel->bind({args, library_->primitive.scratch_bytes > 0 ? size_t{4} : size_t{3}});
  library_->primitive.kernel->run();
}

void StepProduct::run_small(const float* a, const float* b, float* c) const {
  const StepProductProblem& p = problem_;
  const RecurrentLoops& loops = recurrent_loops();
  constexpr int64_t kGrainWork = 1 << 17;  // multiplications that are worth a thread
  const int64_t grain = std::max<int64_t>(64, kGrainWork / std::max<int64_t>(1, p.m * p.k) / 64 * 64);
  parallel_for(p.n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < p.m; ++row) {
      float* to = c + row * p.ldc + begin;
      if (!p.accumulate) std::fill_n(to, end - begin, 0.0f);
      const int64_t n = end - begin;
      if (p.transpose_b) loops.dot_rows(a + row * p.lda, b + begin * p.ldb, p.ldb, p.k, to, n);
      else if (!p.transpose_a) loops.add_rows(a + row * p.lda, b + begin, p.ldb, p.k, to, n);
      for (int64_t k = 0; p.transpose_a && k < p.k; ++k) {
        loops.add_rows(a + k * p.lda + row, b + k * p.ldb + begin, p.ldb, 1, to, n);
      }
    }
  });
}

}  // namespace espalier
