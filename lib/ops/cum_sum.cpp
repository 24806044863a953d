#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/movement.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_type(c, 0, is_numeric, "a numeric type");
  require_type(c, 1, is_integer, "an integer type");
  const auto axis = c.integers(1);
  if (axis && axis->size() != 1) c.fail("axis has " + std::to_string(axis->size()) + " elements, expected 1");
  if (axis && c.has_rank(0)) c.axis(axis->front(), c.rank(0));
  c.set(0, c.type(0));
}

struct Plus {
  template <class T>
  using Wide = Sum<T>;
  static constexpr int kStart = 0;
  template <class V>
  static V of(V a, V b) { return wrap_add(a, b); }
};

struct Times {
  template <class T>
  using Wide = Calc<T>;
  static constexpr int kStart = 1;
  /// Products of integers keep their low bits.
  template <class V>
  static V of(V a, V b) {
    if constexpr (std::is_integral_v<V>) return static_cast<V>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    else return a * b;
  }
};

/// Each element becomes the sum or product of those up to it (before it with `exclusive`; from the end with `reverse`).
template <class Fold>
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto axes = c.input(1).to_int64s();
  if (axes.size() != 1) c.fail("axis has " + std::to_string(axes.size()) + " elements, expected 1");
  const int64_t axis = normalize_axis(axes[0], x.rank()), n = x.dims()[axis], step = row_major_strides(x.dims())[axis];
  const bool exclusive = c.node().get<int64_t>("exclusive", 0) != 0, reverse = c.node().get<int64_t>("reverse", 0) != 0;
  dispatch_number(x.type(), [&]<class T>() {
    using Wide = typename Fold::template Wide<T>;
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    parallel_for(n ? x.size() / n : 0, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / step * step * n + i % step;
        Wide folded = Fold::kStart;
        for (int64_t k = 0; k < n; ++k) {
          const int64_t at = first + (reverse ? n - 1 - k : k) * step;
          const Wide next = Fold::of(folded, static_cast<Wide>(in[at]));
          out[at] = store<T>(exclusive ? folded : next);
          folded = next;
        }
      }
    });
    c.set(0, std::move(y));
  });
}

/// Lines of n elements `step` apart, kLanes neighbouring lines at a time.
template <class T, class Fold>
class CumulativeLoop : public Kernel {
 public:
  CumulativeLoop(int64_t size, int64_t n, int64_t step, bool exclusive, bool reverse)
      : lines_(size / n), n_(n), step_(step), exclusive_(exclusive), reverse_(reverse) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const T*>(args[0]);
    y_ = static_cast<T*>(args[1]);
  }

  void run() override {
    const int64_t bands = (step_ + kLanes - 1) / kLanes;
    const int64_t grain = std::max<int64_t>(1, kElementGrain / (n_ * std::min(step_, kLanes)));
    parallel_for(lines_ / step_ * bands, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t lane = i % bands * kLanes;
        fold_lanes(i / bands * step_ * n_ + lane, std::min(kLanes, step_ - lane));
      }
    });
  }

 private:
  static constexpr int64_t kLanes = 64;

  void fold_lanes(int64_t first, int64_t width) {
    using Wide = typename Fold::template Wide<T>;
    Wide folded[kLanes];
    std::fill_n(folded, width, static_cast<Wide>(Fold::kStart));
    for (int64_t k = 0; k < n_; ++k) {
      const int64_t at = first + (reverse_ ? n_ - 1 - k : k) * step_;
      for (int64_t l = 0; l < width; ++l) {
        const Wide next = Fold::of(folded[l], static_cast<Wide>(x_[at + l]));
        y_[at + l] = static_cast<T>(exclusive_ ? folded[l] : next);
        folded[l] = next;
      }
    }
  }

  int64_t lines_, n_, step_;
  bool exclusive_, reverse_;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

template <class T, class Fold>
std::unique_ptr<Kernel> kernel(const Node& node, const Dims& dims, int64_t axis) {
  return std::make_unique<CumulativeLoop<T, Fold>>(element_count(dims), dims[axis], row_major_strides(dims)[axis],
                                     node.get<int64_t>("exclusive", 0) != 0, node.get<int64_t>("reverse", 0) != 0);
}

template <class Fold>
bool lower(LowerContext& c) {
  const Tensor* given = c.constant(1);
  if (!given || given->size() != 1 || !is_movable(c, 0)) return false;
  const Dims dims = c.dims(0);
  const int64_t axis = normalize_axis(given->to_int64s()[0], static_cast<int64_t>(dims.size()));
  std::unique_ptr<Kernel> made;
  if (c.type(0) == DataType::float32) made = kernel<float, Fold>(c.node(), dims, axis);
  else if (c.type(0) == DataType::int64) made = kernel<int64_t, Fold>(c.node(), dims, axis);
  else if (c.type(0) == DataType::int32) made = kernel<int32_t, Fold>(c.node(), dims, axis);
  else return false;
  const Operand x = read_plain(c, 0);
  c.step(std::move(made), {x, c.write_over(0, x, Layout::plain(c.type(0), dims))}, "loop");
  return true;
}

/// Each element counts in those behind it: the sum the other way.
void gradient(GradientContext& c) {
  const int64_t reverse = c.node().get<int64_t>("reverse", 0) == 0 ? 1 : 0;
  c.set_grad(0, c.add("CumSum", {c.grad_output(), c.input(1)},
                      {{"exclusive", c.node().get<int64_t>("exclusive", 0), {}}, {"reverse", reverse, {}}}));
}

void gradient_of_product(GradientContext& c) {
  c.set_grad(0, c.add("CumProdGrad", {c.input(0), c.input(1), c.grad_output()}, c.node().attributes));
}

/// The lines of a tensor along one axis: n elements `step` apart.
struct Lines {
  int64_t size, n, step;
  bool exclusive, reverse;
  Lines(const Node& node, const Dims& dims, int64_t axis)
      : size(element_count(dims)), n(dims[static_cast<size_t>(axis)]), step(row_major_strides(dims)[static_cast<size_t>(axis)]),
        exclusive(node.get<int64_t>("exclusive", 0) != 0), reverse(node.get<int64_t>("reverse", 0) != 0) {}
};

/// With P the product of what comes before an element and S what the products behind it
/// would be without it and what comes before, weighed by dy: dx = P S, where S = dy + x' S' of the next element (exclusive:
/// S = dy' + x' S'); so zeros need no case.
template <class T>
void product_gradient(const T* x, const T* dy, T* dx, int64_t first, const Lines& l) {
  const int64_t n = l.n;
  const auto at = [&](int64_t k) { return first + (l.reverse ? n - 1 - k : k) * l.step; };
  double behind = 0;
  for (int64_t k = n; k-- > 0;) {
    if (k + 1 < n) behind = static_cast<double>(x[at(k + 1)]) * behind + (l.exclusive ? static_cast<double>(dy[at(k + 1)]) : 0.0);
    if (!l.exclusive) behind += static_cast<double>(dy[at(k)]);
    dx[at(k)] = static_cast<T>(behind);
  }
  double before = 1;
  for (int64_t k = 0; k < n; ++k) {
    dx[at(k)] = static_cast<T>(static_cast<double>(dx[at(k)]) * before);
    before *= static_cast<double>(x[at(k)]);
  }
}

template <class T>
void product_gradients(const Lines& l, const T* x, const T* dy, T* dx) {
  parallel_for(l.n ? l.size / l.n : 0, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) product_gradient(x, dy, dx, i / l.step * l.step * l.n + i % l.step, l);
  });
}

void infer_product_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
}

void evaluate_product_grad(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), dy = c.input(2).cast(DataType::float64);
  Tensor dx(DataType::float64, x.dims());
  const int64_t axis = normalize_axis(c.input(1).to_int64s().at(0), x.rank());
  product_gradients(Lines(c.node(), x.dims(), axis), x.data<double>().data(), dy.data<double>().data(), dx.mutable_data<double>().data());
  c.set(0, dx.cast(c.input(0).type()));
}

/// Arguments: x, dy, dx.
class ProductGradLoop : public Kernel {
 public:
  explicit ProductGradLoop(const Lines& lines) : lines_(lines) {}
  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    dy_ = static_cast<const float*>(args[1]);
    dx_ = static_cast<float*>(args[2]);
  }
  void run() override { product_gradients(lines_, x_, dy_, dx_); }

 private:
  Lines lines_;
  const float *x_ = nullptr, *dy_ = nullptr;
  float* dx_ = nullptr;
};

bool lower_product_grad(LowerContext& c) {
  const Tensor* axis = c.constant(1);
  const Dims dims = c.dims(0);
  if (!axis || axis->size() != 1 || c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  const Operand x = read_plain(c, 0), dy = read_plain(c, 2);
  const Lines lines(c.node(), dims, normalize_axis(axis->to_int64s()[0], static_cast<int64_t>(dims.size())));
  c.step(std::make_unique<ProductGradLoop>(lines), {x, dy, write_plain(c)}, "loop");
  return true;
}

}  // namespace

extern const Op cum_sum, cum_prod, cum_prod_grad;
const Op cum_sum = {
    .name = "CumSum",
    .since = 11,
    .infer = infer,
    .evaluate = evaluate<Plus>,
    .lower = lower<Plus>,
    .gradient = gradient,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost_elementwise,
};

const Op cum_prod = {
    .name = "CumProd",
    .since = 26,
    .until = 26,
    .infer = infer,
    .evaluate = evaluate<Times>,
    .lower = lower<Times>,
    .gradient = gradient_of_product,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost_elementwise,
};

/// CumProdGrad(x, axis, dy) {exclusive, reverse} -> dx.
const Op cum_prod_grad = {
    .name = "CumProdGrad",
    .domain = kInternalDomain,
    .infer = infer_product_grad,
    .evaluate = evaluate_product_grad,
    .lower = lower_product_grad,
};

}  // namespace espalier::ops
