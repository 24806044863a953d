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
template <class T>
class CumSum : public Kernel {
 public:
  CumSum(int64_t size, int64_t n, int64_t step, bool exclusive, bool reverse)
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
        sum_lanes(i / bands * step_ * n_ + lane, std::min(kLanes, step_ - lane));
      }
    });
  }

 private:
  static constexpr int64_t kLanes = 64;

  void sum_lanes(int64_t first, int64_t width) {
    Sum<T> sums[kLanes] = {};
    for (int64_t k = 0; k < n_; ++k) {
      const int64_t at = first + (reverse_ ? n_ - 1 - k : k) * step_;
      for (int64_t l = 0; l < width; ++l) {
        const Sum<T> next = wrap_add(sums[l], static_cast<Sum<T>>(x_[at + l]));
        y_[at + l] = static_cast<T>(exclusive_ ? sums[l] : next);
        sums[l] = next;
      }
    }
  }

  int64_t lines_, n_, step_;
  bool exclusive_, reverse_;
  const T* x_ = nullptr;
  T* y_ = nullptr;
};

template <class T>
std::unique_ptr<Kernel> kernel(const Node& node, const Dims& dims, int64_t axis) {
  return std::make_unique<CumSum<T>>(element_count(dims), dims[axis], row_major_strides(dims)[axis],
                                     node.get<int64_t>("exclusive", 0) != 0, node.get<int64_t>("reverse", 0) != 0);
}

bool lower(LowerContext& c) {
  const Tensor* given = c.constant(1);
  if (!given || given->size() != 1 || !is_movable(c, 0)) return false;
  const Dims dims = c.dims(0);
  const int64_t axis = normalize_axis(given->to_int64s()[0], static_cast<int64_t>(dims.size()));
  std::unique_ptr<Kernel> made;
  if (c.type(0) == DataType::float32) made = kernel<float>(c.node(), dims, axis);
  else if (c.type(0) == DataType::int64) made = kernel<int64_t>(c.node(), dims, axis);
  else if (c.type(0) == DataType::int32) made = kernel<int32_t>(c.node(), dims, axis);
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

}  // namespace

extern const Op cum_sum, cum_prod;
const Op cum_sum = {
    .name = "CumSum",
    .since = 11,
    .infer = infer,
    .evaluate = evaluate<Plus>,
    .lower = lower,
    .gradient = gradient,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost_elementwise,
};

const Op cum_prod = {.name = "CumProd", .since = 26, .until = 26, .infer = infer, .evaluate = evaluate<Times>, .cost = cost_elementwise};

}  // namespace espalier::ops
