#include "passes/prune/least_squares.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <array>
#include <cmath>

#include "lib/base/parallel.h"

namespace espalier {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;
using ConstView = Eigen::Ref<const Matrix>;

constexpr int64_t kLeastRows = 10;
constexpr int64_t kPanel = 64;
/// From "exact where it can be exact" to "hardly away from the present weights".
constexpr std::array kRidges = {1e-10, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1};

/// a' b, or a b' where `rows`; the lower triangle only where `symmetric` (then b = a). Panels of columns run in parallel.
Matrix product(const ConstView& a, const ConstView& b, bool rows, bool symmetric) {
  const Eigen::Index n = rows ? a.rows() : a.cols(), m = rows ? b.rows() : b.cols();
  Matrix result = Matrix::Zero(n, m);
  const int64_t panels = (n + kPanel - 1) / kPanel;
  parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // Long and short panels of the triangle in turns, so that each thread gets as much.
      const int64_t panel = i % 2 == 0 ? i / 2 : panels - 1 - i / 2;
      const Eigen::Index first = panel * kPanel, count = std::min<Eigen::Index>(kPanel, n - first);
      const Eigen::Index width = symmetric ? first + count : m;
      if (rows) result.block(first, 0, count, width).noalias() = a.middleRows(first, count) * b.topRows(width).transpose();
      else result.block(first, 0, count, width).noalias() = a.middleCols(first, count).transpose() * b.leftCols(width);
    }
  });
  if (symmetric) result.triangularView<Eigen::StrictlyUpper>() = result.transpose();
  return result;
}

/// (square + lambda I)^-1 right; nothing where it is singular.
std::optional<Matrix> solve(const Matrix& square, double lambda, const ConstView& right) {
  Eigen::MatrixXd shifted = square;
  shifted.diagonal().array() += lambda;
  const Eigen::LLT<Eigen::MatrixXd> factors(shifted);
  if (factors.info() != Eigen::Success) return std::nullopt;
  Matrix result = factors.solve(right);
  if (!result.allFinite()) return std::nullopt;
  return result;
}

/// The fit on x itself: inputs are at most the rows.
class Primal {
 public:
  Primal(const ConstView& x, const ConstView& r, Eigen::Index fitted)
      : fitted_(product(x.topRows(fitted), x.topRows(fitted), false, true)),
        right_(product(x.topRows(fitted), r.topRows(fitted), false, false)),
        all_(fitted_ + product(x.bottomRows(x.rows() - fitted), x.bottomRows(x.rows() - fitted), false, true)),
        all_right_(right_ + product(x.bottomRows(x.rows() - fitted), r.bottomRows(x.rows() - fitted), false, false)),
        held_x_(x.bottomRows(x.rows() - fitted)) {}

  double trace(bool all) const { return all ? all_.trace() : fitted_.trace(); }
  std::optional<Matrix> held_out_prediction(double lambda) const {
    const auto weights = solve(fitted_, lambda, right_);
    if (!weights) return std::nullopt;
    return Matrix(held_x_ * *weights);
  }
  std::optional<Matrix> weights(double lambda) const { return solve(all_, lambda, all_right_); }

 private:
  Matrix fitted_, right_, all_, all_right_;
  Eigen::Ref<const Matrix> held_x_;
};

/// The same by the rows' products: weights = x' (x x' + lambda I)^-1 r.
class Dual {
 public:
  Dual(const ConstView& x, const ConstView& r, Eigen::Index fitted)
      : x_(x), r_(r), fitted_(fitted), products_(product(x, x, true, true)) {}

  double trace(bool all) const { return all ? products_.trace() : products_.topLeftCorner(fitted_, fitted_).trace(); }
  std::optional<Matrix> held_out_prediction(double lambda) const {
    const auto shares = solve(products_.topLeftCorner(fitted_, fitted_), lambda, r_.topRows(fitted_));
    if (!shares) return std::nullopt;
    return Matrix(products_.bottomLeftCorner(x_.rows() - fitted_, fitted_) * *shares);
  }
  std::optional<Matrix> weights(double lambda) const {
    const auto shares = solve(products_, lambda, r_);
    if (!shares) return std::nullopt;
    return product(x_, *shares, false, false);
  }

 private:
  Eigen::Ref<const Matrix> x_, r_;
  Eigen::Index fitted_;
  Matrix products_;
};

/// Weights with the ridge that is best on the held-out rows; nothing where none is better than no change.
template <class Form>
std::optional<std::pair<Matrix, double>> choose(const Form& form, const ConstView& r, Eigen::Index fitted, int64_t inputs) {
  const auto held = r.bottomRows(r.rows() - fitted);
  double least = held.squaredNorm(), ridge = -1;
  for (const double candidate : kRidges) {
    const auto prediction = form.held_out_prediction(candidate * form.trace(false) / static_cast<double>(inputs));
    if (!prediction) continue;
    const double error = (held - *prediction).squaredNorm();
    if (error < least) least = error, ridge = candidate;
  }
  if (ridge < 0) return std::nullopt;
  auto weights = form.weights(ridge * form.trace(true) / static_cast<double>(inputs));
  if (!weights) return std::nullopt;
  return std::pair(std::move(*weights), ridge);
}

}  // namespace

std::optional<LinearFit> least_squares(Regression problem) {
  if (problem.rows < kLeastRows || problem.inputs < 1 || problem.outputs < 1) return std::nullopt;
  View x(problem.x.data(), problem.rows, problem.inputs), r(problem.r.data(), problem.rows, problem.outputs);
  LinearFit fit;
  const auto rows = static_cast<double>(problem.rows);
  fit.before = r.squaredNorm() / rows;
  const Eigen::RowVectorXd x_mean = x.colwise().mean(), r_mean = r.colwise().mean();
  if (problem.intercept) x.rowwise() -= x_mean, r.rowwise() -= r_mean;
  const Eigen::Index fitted = problem.rows - problem.rows / 5;
  const auto found = problem.inputs <= fitted ? choose(Primal(x, r, fitted), r, fitted, problem.inputs)
                                              : choose(Dual(x, r, fitted), r, fitted, problem.inputs);
  // Where nothing but the mean is off, the weights may stay.
  Matrix weights = found ? found->first : Matrix::Zero(problem.inputs, problem.outputs);
  if (!found && !(problem.intercept && r_mean.squaredNorm() > 0)) return std::nullopt;
  fit.ridge = found ? found->second : 0;
  fit.after = (r - x * weights).squaredNorm() / rows;
  if (problem.intercept) {
    const Eigen::RowVectorXd shift = r_mean - x_mean * weights;
    fit.intercept.assign(shift.data(), shift.data() + shift.size());
  }
  fit.weights.assign(weights.data(), weights.data() + weights.size());
  if (!(fit.after < fit.before)) return std::nullopt;
  return fit;
}

}  // namespace espalier
