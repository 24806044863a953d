// Det: determinants of square matrices, by elimination with the largest pivot of a column, in double.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  c.require_rank(0, 2, static_cast<int64_t>(kMaxRank));
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  SymbolicDims dims = c.dims(0);
  const Dim columns = dims.back(), rows = dims[dims.size() - 2];
  if (columns.known() && rows.known() && !(columns == rows)) c.fail("matrices are " + rows.str() + " by " + columns.str() + ", expected square ones");
  dims.resize(dims.size() - 2);
  c.set(0, c.elem_type(0), std::move(dims));
}

/// `a` is used up.
double determinant(std::vector<double>& a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    }
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
      result = -result;
    }
    result *= a[k * n + k];
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const int64_t n = x.dims().back();
  Dims dims(x.dims().begin(), x.dims().end() - 2);
  Tensor y(x.type(), dims);
  dispatch_float(x.type(), [&]<class T>() {
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    std::vector<double> matrix(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < y.size(); ++i) {
      for (int64_t k = 0; k < n * n; ++k) matrix[k] = static_cast<double>(in[i * n * n + k]);
      out[i] = store<T>(determinant(matrix, n));
    }
  });
  c.set(0, std::move(y));
}

void gradient(GradientContext& c) { c.set_grad(0, c.add("DetGrad", {c.input(0), c.grad_output()})); }

void infer_grad(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

/// Element (i, j) counts with its cofactor: the minor without row i and column j, with alternating sign. Right for singular
/// matrices too.
double cofactor(const double* a, int64_t n, int64_t i, int64_t j, std::vector<double>& minor) {
  minor.clear();
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t s = 0; s < n; ++s) {
      if (r != i && s != j) minor.push_back(a[r * n + s]);
    }
  }
  return ((i + j) % 2 ? -1 : 1) * determinant(minor, n - 1);
}

void evaluate_grad(EvaluateContext& c) {
  const auto x = c.input(0).to_doubles(), dy = c.input(1).to_doubles();
  const int64_t n = c.input(0).dims().back();
  std::vector<double> dx(x.size()), minor;
  for (size_t m = 0; m < dy.size(); ++m) {
    const auto first = static_cast<int64_t>(m) * n * n;
    for (int64_t k = 0; k < n * n; ++k) dx[first + k] = dy[m] * cofactor(x.data() + first, n, k / n, k % n, minor);
  }
  c.set(0, Tensor::of<double>(c.input(0).dims(), dx).cast(c.input(0).type()));
}

/// 2/3 n^3 a matrix.
Cost cost(const InferContext& c) {
  const auto dims = c.type(0).known_dims();
  const int64_t n = dims && !dims->empty() ? dims->back() : 0;
  return {.flops = checked_mul(known_elements(c.type(0)), 2 * n / 3), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op det, det_grad_op;
const Op det = {
    .name = "Det",
    .since = 11,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::det,
    .cut = cuts::det,
    .cost = cost,
};

/// DetGrad(x, dy) -> dx = dy times the cofactors of x.
const Op det_grad_op = {.name = "DetGrad", .domain = kInternalDomain, .infer = infer_grad, .evaluate = evaluate_grad};

}  // namespace espalier::ops
