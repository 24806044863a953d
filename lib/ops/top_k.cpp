// TopK: the k largest or smallest elements along an axis and where they stood; of equal ones the first comes first.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/movement.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

constexpr int kInputSince = 10;

bool largest(const Node& node) { return node.get<int64_t>("largest", 1) != 0; }
int64_t axis_of(const Node& node, int64_t rank) { return normalize_axis(node.get<int64_t>("axis", -1), rank); }

/// The k of version 1 is an attribute.
std::optional<Dim> wanted(const InferContext& c) {
  if (c.version() < kInputSince) return Dim(c.node().require<int64_t>("k"));
  const auto numbers = c.numbers(1);
  if (!numbers) return std::nullopt;
  if (numbers->size() != 1) c.fail("K has " + std::to_string(numbers->size()) + " elements, expected 1");
  return (*numbers)[0];
}

void infer(InferContext& c) {
  if (c.version() < kInputSince) c.require_inputs(1, 1);
  else c.require_inputs(2, 2);
  require_type(c, 0, c.version() < 11 ? is_float : is_numeric, c.version() < 11 ? "a float type" : "a numeric type");
  if (c.elem_type(1) != DataType::undefined && c.version() >= kInputSince && c.elem_type(1) != DataType::int64) {
    c.fail("K is " + c.type(1).str() + ", expected int64");
  }
  c.require_rank(0, 1, static_cast<int64_t>(kMaxRank));
  Type values = Type::tensor(c.elem_type(0));
  if (c.has_rank(0)) {
    SymbolicDims dims = c.dims(0);
    Dim& size = dims[c.axis(c.node().get<int64_t>("axis", -1), c.rank(0))];
    const Dim k = wanted(c).value_or(Dim());
    if (k.known() && k.value() < 0) c.fail("K is " + k.str());
    if (k.known() && size.known() && k.value() > size.value()) c.fail("K is " + k.str() + ", but the axis has size " + size.str());
    size = k;
    values = Type::tensor(c.elem_type(0), std::move(dims));
  }
  Type indices = values;
  indices.elem_type = DataType::int64;
  if (c.has_output(0)) c.set(0, std::move(values));
  if (c.has_output(1)) c.set(1, std::move(indices));
}

/// Whether element a comes before b; NaN counts as larger than all numbers.
template <class V>
bool precedes(V a, V b, bool largest_first) {
  if (a != a || b != b) return largest_first ? (a != a && b == b) : (a == a && b != b);
  return largest_first ? a > b : a < b;
}

/// One line: `order` is scratch of n.
template <class T>
void select(const T* x, int64_t step, int64_t n, int64_t k, bool largest_first, int64_t* order) {
  std::iota(order, order + n, int64_t{0});
  const auto before = [&](int64_t a, int64_t b) {
    const auto u = static_cast<Calc<T>>(x[a * step]), v = static_cast<Calc<T>>(x[b * step]);
    if (precedes(u, v, largest_first)) return true;
    return !precedes(v, u, largest_first) && a < b;
  };
  if (k * 8 < n) {
    std::nth_element(order, order + k, order + n, before);
    std::sort(order, order + k, before);
  } else {
    std::partial_sort(order, order + k, order + n, before);
  }
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const int64_t axis = axis_of(c.node(), x.rank()), n = x.dims()[axis], step = row_major_strides(x.dims())[axis];
  if (c.version() >= kInputSince && c.input(1).size() != 1) c.fail("K has " + std::to_string(c.input(1).size()) + " elements, expected 1");
  const int64_t k = c.version() < kInputSince ? c.node().require<int64_t>("k") : c.input(1).to_int64s()[0];
  if (k < 0 || k > n) c.fail("K is " + std::to_string(k) + ", but the axis has size " + std::to_string(n));
  Dims dims = x.dims();
  dims[axis] = k;
  Tensor values(x.type(), dims), indices(DataType::int64, dims);
  const auto at = indices.mutable_data<int64_t>();
  dispatch_number(x.type(), [&]<class T>() {
    const auto in = x.data<T>();
    const auto out = values.mutable_data<T>();
    std::vector<int64_t> order(static_cast<size_t>(n));
    for (int64_t line = 0; n > 0 && line < x.size() / n; ++line) {
      const int64_t from = line / step * step * n + line % step, to = line / step * step * k + line % step;
      select(in.data() + from, step, n, k, largest(c.node()), order.data());
      for (int64_t i = 0; i < k; ++i) {
        out[to + i * step] = in[from + order[i] * step];
        at[to + i * step] = order[i];
      }
    }
  });
  if (c.has_output(0)) c.set(0, std::move(values));
  if (c.has_output(1)) c.set(1, std::move(indices));
}

/// Float lines; each thread has its own scratch, made with the step.
class TopK : public Kernel {
 public:
  TopK(int64_t lines, int64_t n, int64_t step, int64_t k, bool largest_first, bool values, bool indices)
      : lines_(lines), n_(n), step_(step), k_(k), largest_(largest_first), has_values_(values), has_indices_(indices),
        pieces_(std::min<int64_t>(lines, thread_count())), orders_(static_cast<size_t>(pieces_ * n)) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]);
    size_t next = 1;
    values_ = has_values_ ? static_cast<float*>(args[next++]) : nullptr;
    indices_ = has_indices_ ? static_cast<int64_t*>(args[next]) : nullptr;
  }

  void run() override {
    parallel_for(pieces_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t line = lines_ * p / pieces_; line < lines_ * (p + 1) / pieces_; ++line) run_line(line, orders_.data() + p * n_);
      }
    });
  }

 private:
  void run_line(int64_t line, int64_t* order) {
    const int64_t from = line / step_ * step_ * n_ + line % step_, to = line / step_ * step_ * k_ + line % step_;
    select(x_ + from, step_, n_, k_, largest_, order);
    for (int64_t i = 0; i < k_; ++i) {
      if (values_) values_[to + i * step_] = x_[from + order[i] * step_];
      if (indices_) indices_[to + i * step_] = order[i];
    }
  }

  int64_t lines_, n_, step_, k_;
  bool largest_, has_values_, has_indices_;
  int64_t pieces_;
  std::vector<int64_t> orders_;
  const float* x_ = nullptr;
  float* values_ = nullptr;
  int64_t* indices_ = nullptr;
};

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || !is_movable(c, 0)) return false;
  const int64_t axis = axis_of(c.node(), static_cast<int64_t>(dims.size())), n = dims[axis];
  const size_t any = c.has_output(0) ? 0 : 1;
  auto kernel = std::make_unique<TopK>(element_count(dims) / n, n, row_major_strides(dims)[axis], c.output_dims(any)[axis],
                                       largest(c.node()), c.has_output(0), c.has_output(1));
  std::vector<Operand> args = {read_plain(c, 0)};
  for (const size_t i : {size_t{0}, size_t{1}}) {
    if (c.has_output(i)) args.push_back(write_plain(c, i));
  }
  c.step(std::move(kernel), std::move(args), "loop");
  return true;
}

/// Back to where the values stood.
void gradient(GradientContext& c) {
  if (c.grad_output(0) == kNone) return;
  ValueId indices = c.output(1);
  const auto axis = c.node().get<int64_t>("axis", -1);
  if (indices == kNone) {
    const ValueId k = c.node().version < kInputSince ? integers(c, {c.node().require<int64_t>("k")}) : c.input(1);
    indices = c.add_many("TopK", {c.input(0), k}, 2, {{"axis", axis, {}}, {"largest", int64_t{largest(c.node())}, {}}})[1];
  }
  const ValueId zeros = c.add("ExpandLike", {c.scalar(0, c.input(0)), c.input(0)});
  c.set_grad(0, c.add("ScatterElements", {zeros, indices, c.grad_output(0)}, {{"axis", axis, {}}}));
}

/// n log k comparisons a line, roughly.
Cost cost(const InferContext& c) {
  const auto k = c.has_output(0) ? c.output(0).type.known_dims() : std::nullopt;
  double depth = 1;
  if (k && !k->empty()) depth += std::log2(static_cast<double>(1 + (*k)[axis_of(c.node(), static_cast<int64_t>(k->size()))]));
  const auto flops = static_cast<int64_t>(depth * static_cast<double>(known_elements(c.type(0))));
  return {.flops = flops, .bytes = known_traffic(c)};
}

}  // namespace

extern const Op top_k;
const Op top_k = {
    .name = "TopK",
    .until = 24,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::counted_axis,
    .cut = cuts::counted_axis,
    .cost = cost,
};

}  // namespace espalier::ops
