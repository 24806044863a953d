// AffineGrid and its gradient. theta: [N, r, r + 1], r 2 or 3; size: (N, C, D1 ... Dr). grid: [N, D1 ... Dr, r].

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 0, is_float, "a float type");
  c.require_rank(0, 3, 3);
  c.require_rank(1, 1, 1);
  const auto size = c.numbers(1);
  if (!size) {
    const bool known = c.has_rank(1) && c.dims(1)[0].known();
    if (known && c.dims(1)[0].value() != 4 && c.dims(1)[0].value() != 5) c.fail("size has " + c.dims(1)[0].str() + " numbers, expected 4 or 5");
    return c.set(0, known ? Type::tensor(c.elem_type(0), SymbolicDims(static_cast<size_t>(c.dims(1)[0].value()))) : Type::tensor(c.elem_type(0)));
  }
  if (size->size() != 4 && size->size() != 5) c.fail("size has " + std::to_string(size->size()) + " numbers, expected 4 or 5");
  const auto rank = static_cast<int64_t>(size->size()) - 2;
  for (const Dim& d : *size) {
    if (d.known() && d.value() < 0) c.fail("size holds " + d.str());
  }
  if (c.has_rank(0)) {
    const SymbolicDims& theta = c.dims(0);
    const bool wrong = (theta[1].known() && !theta[1].is(rank)) || (theta[2].known() && !theta[2].is(rank + 1)) ||
                       (theta[0].known() && (*size)[0].known() && !(theta[0] == (*size)[0]));
    if (wrong) c.fail("theta is " + to_string(theta) + ", expected [" + (*size)[0].str() + "," + std::to_string(rank) + "," + std::to_string(rank + 1) + "]");
  }
  SymbolicDims dims = {(*size)[0]};
  dims.insert(dims.end(), size->begin() + 2, size->end());
  dims.push_back(Dim(rank));
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Places of an axis of n elements between -1 and 1.
std::vector<double> places(int64_t n, bool align_corners) {
  std::vector<double> result;
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<double>(i), size = static_cast<double>(n);
    result.push_back(align_corners ? (n > 1 ? -1 + 2 * at / (size - 1) : -1) : -1 + (2 * at + 1) / size);
  }
  return result;
}

/// visit(n, position, homogeneous coordinates) for each point, x first and 1 last.
template <class Visit>
void for_each_point(const EvaluateContext& c, const std::vector<int64_t>& size, Visit visit) {
  const bool align = c.node().get<int64_t>("align_corners", 0) != 0;
  const Dims space(size.begin() + 2, size.end());
  std::vector<std::vector<double>> axes;
  for (const int64_t n : space) axes.push_back(places(n, align));
  const int64_t points = element_count(space);
  const size_t rank = space.size();
  parallel_for(size[0], 1, [&](int64_t begin, int64_t end) {
    std::vector<double> at(rank + 1, 1.0);
    for (int64_t p = begin * points; p < end * points; ++p) {
      int64_t rest = p % points;
      for (size_t i = rank; i-- > 0; rest /= space[i]) at[rank - 1 - i] = axes[i][static_cast<size_t>(rest % space[i])];
      visit(p / points, p % points, at);
    }
  });
}

std::vector<int64_t> size_of(const EvaluateContext& c, const Dims& theta) {
  const auto size = c.input(1).to_int64s();
  const auto rank = static_cast<int64_t>(size.size()) - 2;
  bool right = (rank == 2 || rank == 3) && theta == Dims{size[0], rank, rank + 1};
  for (const int64_t n : size) right = right && n >= 0;
  if (!right) c.fail("theta " + to_string(theta) + " does not fit size " + to_string(size));
  element_count(size);
  return size;
}

void evaluate(EvaluateContext& c) {
  const auto theta = c.input(0).to_doubles();
  const auto size = size_of(c, c.input(0).dims());
  Dims dims = {size[0]};
  dims.insert(dims.end(), size.begin() + 2, size.end());
  const auto rank = static_cast<int64_t>(size.size()) - 2, points = element_count(Dims(size.begin() + 2, size.end()));
  dims.push_back(rank);
  Tensor grid(DataType::float64, dims);
  const auto out = grid.mutable_data<double>();
  for_each_point(c, size, [&](int64_t n, int64_t p, const std::vector<double>& at) {
    for (int64_t i = 0; i < rank; ++i) {
      double sum = 0;
      for (int64_t j = 0; j <= rank; ++j) sum += theta[static_cast<size_t>((n * rank + i) * (rank + 1) + j)] * at[static_cast<size_t>(j)];
      out[(n * points + p) * rank + i] = sum;
    }
  });
  c.set(0, grid.cast(c.input(0).type()));
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(2));
}

void evaluate_grad(EvaluateContext& c) {
  const auto dgrid = c.input(0).to_doubles();
  const auto size = size_of(c, c.input(2).dims());
  const auto rank = static_cast<int64_t>(size.size()) - 2, points = element_count(Dims(size.begin() + 2, size.end()));
  Tensor dtheta(DataType::float64, c.input(2).dims());
  const auto out = dtheta.mutable_data<double>();
  for_each_point(c, size, [&](int64_t n, int64_t p, const std::vector<double>& at) {
    for (int64_t i = 0; i < rank; ++i) {
      const double g = dgrid[static_cast<size_t>((n * points + p) * rank + i)];
      for (int64_t j = 0; j <= rank; ++j) out[(n * rank + i) * (rank + 1) + j] += g * at[static_cast<size_t>(j)];
    }
  });
  c.set(0, dtheta.cast(c.input(0).type()));
}

void gradient(GradientContext& c) {
  if (c.wants(0)) c.set_grad(0, c.add("AffineGridGrad", {c.grad_output(), c.input(1), c.input(0)}, c.node().attributes));
}

Cost cost(const InferContext& c) {
  return {.flops = checked_mul(known_elements(c.output(0).type), 6), .bytes = known_traffic(c)};
}

}  // namespace

extern const Op affine_grid;
const Op affine_grid = {
    .name = "AffineGrid",
    .since = 20,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .cost = cost,
};

/// AffineGridGrad(dgrid, size, theta_like) -> dtheta, with AffineGrid's attributes.
extern const Op affine_grid_grad;
const Op affine_grid_grad = {
    .name = "AffineGridGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .shape_only_inputs = 0b100,
};

}  // namespace espalier::ops
