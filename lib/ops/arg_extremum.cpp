// ArgMax, ArgMin: where along an axis the largest or smallest element stands; the first one, or the last on request.

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/movement.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_numeric, "a numeric type");
  if (!c.has_rank(0)) return c.set(0, Type::tensor(DataType::int64));
  SymbolicDims dims = c.dims(0);
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", 0), c.rank(0));
  if (dims[axis].is(0)) c.fail("axis " + std::to_string(axis) + " of the input is empty");
  if (c.node().get<int64_t>("keepdims", 1) != 0) dims[axis] = 1;
  else dims.erase(dims.begin() + axis);
  c.set(0, DataType::int64, std::move(dims));
}

template <class Better>
void evaluate(EvaluateContext& c, Better better) {
  const Tensor& x = c.input(0);
  const auto axis = static_cast<size_t>(normalize_axis(c.node().get<int64_t>("axis", 0), x.rank()));
  const bool last = c.node().get<int64_t>("select_last_index", 0) != 0;
  Dims dims = x.dims();
  const int64_t n = dims[axis], step = row_major_strides(dims)[axis];
  if (n == 0) c.fail("axis " + std::to_string(axis) + " of the input is empty");
  if (c.node().get<int64_t>("keepdims", 1) != 0) dims[axis] = 1;
  else dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  Tensor y(DataType::int64, dims);
  const auto out = y.mutable_data<int64_t>();
  dispatch_number(x.type(), [&]<class T>() {
    const auto in = x.data<T>();
    parallel_for(y.size(), 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / step * step * n + i % step;
        const auto at = [&](int64_t k) { return static_cast<Calc<T>>(in[first + k * step]); };
        int64_t best = 0;
        for (int64_t k = 1; k < n; ++k) {
          if (better(at(k), at(best)) || (last && at(k) == at(best))) best = k;
        }
        out[i] = best;
      }
    });
  });
  c.set(0, std::move(y));
}

struct Larger {
  template <class V>
  bool operator()(V a, V b) const { return a > b; }
};
struct Smaller {
  template <class V>
  bool operator()(V a, V b) const { return a < b; }
};

void arg_max_evaluate(EvaluateContext& c) { evaluate(c, Larger()); }
void arg_min_evaluate(EvaluateContext& c) { evaluate(c, Smaller()); }

/// Lines of n floats `step` apart, kLanes neighbouring lines at a time.
template <class Better>
class ArgExtremum : public Kernel {
 public:
  ArgExtremum(int64_t size, int64_t n, int64_t step, bool last) : lines_(size / n), n_(n), step_(step), last_(last) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    y_ = static_cast<int64_t*>(args[1]);
  }

  void run() override {
    const int64_t bands = (step_ + kLanes - 1) / kLanes;
    const int64_t grain = std::max<int64_t>(1, kElementGrain / (n_ * std::min(step_, kLanes)));
    parallel_for(lines_ / step_ * bands, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t lane = i % bands * kLanes, width = std::min(kLanes, step_ - lane);
        search(x_ + i / bands * step_ * n_ + lane, y_ + i / bands * step_ + lane, width);
      }
    });
  }

 private:
  static constexpr int64_t kLanes = 64;

  void search(const float* x, int64_t* y, int64_t width) const {
    float best[kLanes];
    std::copy(x, x + width, best);
    std::fill(y, y + width, int64_t{0});
    const Better better;
    for (int64_t k = 1; k < n_; ++k) {
      const float* row = x + k * step_;
      for (int64_t l = 0; l < width; ++l) {
        const bool wins = better(row[l], best[l]) || (last_ && row[l] == best[l]);
        best[l] = wins ? row[l] : best[l];
        y[l] = wins ? k : y[l];
      }
    }
  }

  int64_t lines_, n_, step_;
  bool last_;
  const float* x_ = nullptr;
  int64_t* y_ = nullptr;
};

template <class Better>
bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || !is_movable(c, 0)) return false;
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", 0), static_cast<int64_t>(dims.size()));
  auto kernel = std::make_unique<ArgExtremum<Better>>(element_count(dims), dims[axis], row_major_strides(dims)[axis],
                                                      c.node().get<int64_t>("select_last_index", 0) != 0);
  const Operand x = read_plain(c, 0);
  c.step(std::move(kernel), {x, write_plain(c)}, "loop");
  return true;
}

Cost cost(const InferContext& c) { return {.flops = known_elements(c.type(0)), .bytes = known_traffic(c)}; }

}  // namespace

extern const Op arg_max;
const Op arg_max = {
    .name = "ArgMax",
    .infer = infer,
    .evaluate = arg_max_evaluate,
    .lower = lower<Larger>,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost,
};

extern const Op arg_min;
const Op arg_min = {
    .name = "ArgMin",
    .infer = infer,
    .evaluate = arg_min_evaluate,
    .lower = lower<Smaller>,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost,
};

}  // namespace espalier::ops
