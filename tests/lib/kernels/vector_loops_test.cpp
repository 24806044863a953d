#include "lib/kernels/vector_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lib/base/random.h"

namespace espalier {
namespace {

std::vector<const VectorLoops*> usable_loops() {
  std::vector<const VectorLoops*> loops = {&kLoopsBaseline};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) loops.push_back(&kLoopsAvx2);
  if (&vector_loops() == &kLoopsAvx512) loops.push_back(&kLoopsAvx512);
  return loops;
}

std::vector<float> normals(size_t n, uint32_t stream) {
  const Random random(7, RandomUse::test, stream);
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = 2 * random.normal(i);
  return values;
}

double phi(double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }
double phi_by_tanh(double x) { return 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
/// Of x share(x), by differences.
double slope(double (*share)(double), double x) {
  constexpr double kStep = 1e-5;
  return ((x + kStep) * share(x + kStep) - (x - kStep) * share(x - kStep)) / (2 * kStep);
}

double trigonometry(ElementKind kind, double x) {
  switch (kind) {
    case ElementKind::sin: return std::sin(x);
    case ElementKind::cos: return std::cos(x);
    case ElementKind::tan: return std::tan(x);
    case ElementKind::asin: return std::asin(x);
    case ElementKind::acos: return std::acos(x);
    case ElementKind::atan: return std::atan(x);
    case ElementKind::sinh: return std::sinh(x);
    case ElementKind::cosh: return std::cosh(x);
    case ElementKind::asinh: return std::asinh(x);
    case ElementKind::acosh: return std::acosh(x);
    case ElementKind::atanh: return std::atanh(x);
    default: return 0;
  }
}

/// Of x and the gradient y that arrives.
double gradient(const ElementOp& op, double x, double y) {
  const double alpha = op.alpha, beta = op.beta;
  switch (op.kind) {
    case ElementKind::relu_grad: return x > 0 ? y : 0;
    case ElementKind::leaky_relu_grad: return x > 0 ? y : alpha * y;
    case ElementKind::clip_grad: return x > alpha && x < beta ? y : 0;
    case ElementKind::sigmoid_grad: return y * x * (1 - x);
    case ElementKind::tanh_grad: return y * (1 - x * x);
    case ElementKind::hard_sigmoid_grad: return x > 0 && x < 1 ? alpha * y : 0;
    case ElementKind::hard_swish_grad: return x <= -3 ? 0 : x >= 3 ? y : y * (x / 3 + 0.5);
    case ElementKind::elu_grad: return x > 0 ? y : alpha * beta * std::exp(beta * x) * y;
    case ElementKind::gelu_grad: return y * slope(phi, x);
    case ElementKind::gelu_tanh_grad: return y * slope(phi_by_tanh, x);
    case ElementKind::thresholded_relu_grad: return x > alpha ? y : 0;
    default: return trigonometry(op.kind, x);
  }
}

double formula(const ElementOp& op, double x, double y) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto clamp = [](double v, double low, double high) { return std::min(std::max(v, low), high); };
  const double alpha = op.alpha, beta = op.beta;
  switch (op.kind) {
    case ElementKind::copy: return x;
    case ElementKind::relu: return std::max(x, 0.0);
    case ElementKind::leaky_relu: return x > 0 ? x : alpha * x;
    case ElementKind::clip: return clamp(x, alpha, beta);
    case ElementKind::sigmoid: return sigmoid(x);
    case ElementKind::tanh: return std::tanh(x);
    case ElementKind::hard_sigmoid: return clamp(alpha * x + beta, 0, 1);
    case ElementKind::hard_swish: return x * clamp(x / 6 + 0.5, 0, 1);
    case ElementKind::neg: return -x;
    case ElementKind::sqrt: return std::sqrt(x);
    case ElementKind::exp: return std::exp(x);
    case ElementKind::log: return std::log(x);
    case ElementKind::abs: return std::abs(x);
    case ElementKind::reciprocal: return 1 / x;
    case ElementKind::square: return x * x;
    case ElementKind::scale_shift: return alpha * x + beta;
    case ElementKind::elu: return x > 0 ? x : alpha * std::expm1(beta * x);
    case ElementKind::selu: return beta * (x > 0 ? x : alpha * std::expm1(x));
    case ElementKind::softplus: return std::log1p(std::exp(x));
    case ElementKind::softsign: return x / (1 + std::abs(x));
    case ElementKind::mish: return x * std::tanh(std::log1p(std::exp(x)));
    case ElementKind::gelu: return x * phi(x);
    case ElementKind::gelu_tanh: return x * phi_by_tanh(x);
    case ElementKind::thresholded_relu: return x > alpha ? x : 0;
    case ElementKind::erf: return std::erf(x);
    case ElementKind::floor: return std::floor(x);
    case ElementKind::ceil: return std::ceil(x);
    case ElementKind::round: return std::nearbyint(x);
    case ElementKind::sign: return (x > 0) - (x < 0);
    case ElementKind::cube: return x * x * x;
    case ElementKind::power: return std::pow(x, alpha);
    case ElementKind::add: return x + y;
    case ElementKind::sub: return x - y;
    case ElementKind::mul: return x * y;
    case ElementKind::div: return x / y;
    case ElementKind::max: return std::max(x, y);
    case ElementKind::min: return std::min(x, y);
    case ElementKind::pow: return std::pow(x, y);
    case ElementKind::fmod: return std::fmod(x, y);
    case ElementKind::prelu: return x < 0 ? x * y : x;
    case ElementKind::equal: return x == y;
    default: return gradient(op, x, y);
  }
}

/// v, or a number near it that the operation is defined for.
float in_domain(ElementKind kind, float v) {
  switch (kind) {
    case ElementKind::sqrt: case ElementKind::log: case ElementKind::power: case ElementKind::pow: return std::abs(v);
    case ElementKind::asin: case ElementKind::acos: case ElementKind::atanh: return std::tanh(v);
    case ElementKind::acosh: return 1 + std::abs(v);
    default: return v;
  }
}

TEST(VectorLoops, EveryElementOperationIsItsFormulaOnEveryInstructionSet) {
  auto x = normals(77, 1), y = normals(77, 2);
  for (const VectorLoops* loops : usable_loops()) {
    for (int kind = 0; kind <= static_cast<int>(ElementKind::thresholded_relu_grad); ++kind) {
      const ElementOp op{static_cast<ElementKind>(kind), kind == static_cast<int>(ElementKind::leaky_relu) ? 0.1f : -0.5f, 0.75f};
      auto in = x;
      for (float& v : in) v = in_domain(op.kind, v);
      std::vector<float> out(in.size());
      float* registers[] = {in.data(), y.data(), out.data()};
      const ElementStep step{op, 0, 1, 2};
      loops->element_steps(&step, 1, registers, static_cast<int64_t>(in.size()));
      for (size_t i = 0; i < in.size(); ++i) {
        const double expected = formula(op, in[i], y[i]);
        EXPECT_NEAR(out[i], expected, 2e-6 * std::max(1.0, std::abs(expected)))
            << loops->name << " " << name(op.kind) << " of " << in[i] << ", " << y[i];
      }
    }
  }
}

TEST(VectorLoops, ExpReachesBothEnds) {
  std::vector<float> x = {-200, -103, -88, 0, 88, 88.72f, 100}, out(x.size());
  float* registers[] = {x.data(), out.data()};
  const ElementStep step{{ElementKind::exp}, 0, 0, 1};
  for (const VectorLoops* loops : usable_loops()) {
    loops->element_steps(&step, 1, registers, static_cast<int64_t>(x.size()));
    for (size_t i = 0; i + 1 < x.size(); ++i) EXPECT_NEAR(out[i] / std::exp(double{x[i]}), x[i] < -87 ? out[i] / std::exp(double{x[i]}) : 1, 1e-6);
    EXPECT_LT(out[0], 1e-37f);
    EXPECT_TRUE(std::isinf(out.back()) || out.back() > 1e38f);
  }
}

TEST(VectorLoops, NaNPassesThroughReluClipExpAndLog) {
  std::vector<float> x(20, NAN), out(20);
  x[7] = -NAN;
  float* registers[] = {x.data(), out.data()};
  for (const VectorLoops* loops : usable_loops()) {
    for (const ElementOp op : {ElementOp{ElementKind::relu}, ElementOp{ElementKind::clip, 0, 6}, ElementOp{ElementKind::exp}, ElementOp{ElementKind::log}}) {
      const ElementStep step{op, 0, 0, 1};
      loops->element_steps(&step, 1, registers, 20);
      for (const float v : out) EXPECT_TRUE(std::isnan(v)) << loops->name;
    }
  }
}

class Rows : public ::testing::TestWithParam<Row> {};

TEST_P(Rows, StatisticsNormalisationAndGradientsAreTheirFormulas) {
  const Row row = GetParam();
  const auto n = static_cast<size_t>(row.inner * row.block), c = static_cast<size_t>(row.block);
  const auto x = normals(n, 3), dy = normals(n, 4), y = normals(n, 5), residual = normals(n, 6);
  const auto a = normals(c, 7), b = normals(c, 8), c0 = normals(c, 9), pivot = normals(c, 10);
  const Bounds bounds{-0.5f, 1.0f};
  for (const VectorLoops* loops : usable_loops()) {
    SCOPED_TRACE(loops->name);
    std::vector<double> sum(c), squares(c), grad(c), dot(c), s(c), q(c), g(c), d(c);
    std::vector<float> z(n), dx(n);
    loops->row_moments(x.data(), row, pivot.data(), sum.data(), squares.data());
    loops->row_affine(x.data(), residual.data(), z.data(), row, a.data(), b.data(), &bounds);
    loops->row_gradient_sums(x.data(), dy.data(), y.data(), row, pivot.data(), &bounds, grad.data(), dot.data());
    loops->row_gradient(x.data(), dy.data(), y.data(), dx.data(), row, a.data(), b.data(), c0.data(), &bounds);
    for (size_t i = 0; i < n; ++i) {
      const size_t k = i % c;
      const double difference = double{x[i]} - pivot[k], masked = y[i] > bounds.low && y[i] < bounds.high ? dy[i] : 0;
      s[k] += difference;
      q[k] += difference * difference;
      g[k] += masked;
      d[k] += masked * difference;
      const double affine = double{x[i]} * a[k] + b[k] + residual[i];
      EXPECT_NEAR(z[i], std::min(std::max(affine, double{bounds.low}), double{bounds.high}), 1e-5);
      EXPECT_NEAR(dx[i], a[k] * masked + double{b[k]} * x[i] + c0[k], 1e-4);
    }
    for (size_t k = 0; k < c; ++k) {
      EXPECT_NEAR(sum[k], s[k], 1e-4 * static_cast<double>(n));
      EXPECT_NEAR(squares[k], q[k], 1e-5 * q[k] + 1e-4);
      EXPECT_NEAR(grad[k], g[k], 1e-3);
      EXPECT_NEAR(dot[k], d[k], 1e-3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, Rows,
                         ::testing::Values(Row{49, 1}, Row{7, 16}, Row{64, 16}, Row{9, 8}, Row{5, 3}, Row{3, 37}, Row{1, 20}));

}  // namespace
}  // namespace espalier
